"""What gpuad costs: ``suite`` is what ``gpuad bench`` runs, ``goals`` what numbers were promised for.

One thread, whatever the libraries would like, unless somebody has said otherwise: importing this package before NumPy
sees to that.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
