"""``pytest bench``: the suite under pytest-benchmark, then the goals; ``--full`` for all sizes and compilers."""

import os

from bench.suite.peers import settings

os.environ.update(settings(threads=1))  # before NumPy is imported


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="all sizes, and torch.compile: this takes long")
