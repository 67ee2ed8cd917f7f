"""What gpuad costs, beside HIPS autograd, PyTorch and NumPy by hand. ``python -m bench`` runs it all.

One thread, whatever the libraries would like: importing this package before NumPy sees to that.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
