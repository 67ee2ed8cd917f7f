"""The demonstration that ``python -m gpuad`` runs, and the data it learns from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_digits"]


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The UCI handwritten digits: images (1797, 64) with values 0 to 16, labels (1797,), as uint8.

    Source, licence and checksum are in ``DIGITS.md`` beside the data.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as data:
        return data["images"], data["labels"]
