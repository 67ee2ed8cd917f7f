import sys

from gpuad.cli import main

sys.exit(main())
