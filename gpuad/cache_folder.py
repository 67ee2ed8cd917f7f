"""Where compiled kernels are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder of this user. It may not exist yet.

    ``GPUAD_CACHE_DIR`` if set, else a folder ``gpuad`` where the system keeps users' caches.
    """
    chosen = os.environ.get("GPUAD_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "gpuad"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gpuad"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative path.
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "gpuad"


def is_writable(folder: Path) -> bool:
    """Whether files can be made in ``folder``, or the folder itself if it isn't there yet."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
