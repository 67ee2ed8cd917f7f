"""``python -m bench``: the same as ``gpuad bench``."""

import sys

from .suite.command import main

sys.exit(main(prog="python -m bench"))
