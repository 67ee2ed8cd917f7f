"""Compiled libraries on disk, found again by key, and never loaded where another user could have written them.

The name of a library holds its key and the checksum of its bytes: one rename publishes both, and a file that a
full disk or a crash cut short isn't taken for what it was to be. What is being made lies in a folder of its own
beside them, so a process that dies leaves nothing that anybody would load.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..cache_folder import cache_folder

#: More bytes than this aren't kept: what was used least recently goes first.
BOUND = 64 << 20
#: What is still being made after so many seconds was left behind by a process that died.
STALE = 3600.0

_UNFINISHED = "making-"
_SUFFIX = ".so"
_private: tuple[int, Path] | None = None


def folder() -> Path:
    """Where libraries are kept. It may not exist yet; links in its path are followed once, here."""
    return Path(os.path.realpath(cache_folder() / "kernels"))


def untrusted(place: Path) -> str | None:
    """Who else could have written what lies in ``place``, a path without links; ``None`` if nobody could.

    Whoever may write into a folder further up may put another in its place, unless the sticky bit says that each
    may only move what is his. What isn't there yet is nobody's.
    """
    if os.name != "posix":  # elsewhere modes say nothing, and a user's cache is the user's by default
        return None
    for at in (place, *place.parents):
        try:
            is_ours, why = _is_ours(at.lstat(), at == place)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{at}: {error.strerror}"
        if not is_ours:
            return f"{at} {why}"
    return None


def _is_ours(found: os.stat_result, itself: bool) -> tuple[bool, str]:
    """Whether this user alone can write it; further up than ``itself`` root may, and others where the sticky bit is."""
    if found.st_uid != os.geteuid() and (itself or found.st_uid != 0):
        return False, f"belongs to user {found.st_uid}"
    if found.st_mode & 0o022 and (itself or not found.st_mode & stat.S_ISVTX):
        return False, f"may be written by others (mode {stat.S_IMODE(found.st_mode):o})"
    return True, ""


def find(key: str) -> Path | None:
    """The library of that key, whole and this user's own. What is neither is removed."""
    place = folder()
    try:
        names = os.listdir(place)
    except OSError:
        return None
    if untrusted(place) is not None:
        return None
    for name in names:
        if name.startswith(f"{key}-") and name.endswith(_SUFFIX):
            path = place / name
            if _is_whole(path, name[len(key) + 1 : -len(_SUFFIX)]):
                with contextlib.suppress(OSError):  # a file system that can't be written
                    os.utime(path)
                return path
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _is_whole(path: Path, checksum: str) -> bool:
    try:
        found = path.lstat()
        if os.name == "posix" and not (stat.S_ISREG(found.st_mode) and _is_ours(found, True)[0]):
            return False
        return _checksum(path.read_bytes()) == checksum
    except OSError:
        return False


def _checksum(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()[:32]


def places() -> Iterator[Path]:
    """The folders in which to compile, best first: where libraries are kept, then one for this process alone."""
    place = folder()
    with contextlib.suppress(OSError):
        if untrusted(place) is None:
            _make(place)
            if untrusted(place) is None:  # someone may have been quicker
                yield place
    with contextlib.suppress(OSError):
        yield _private_folder()


def _make(place: Path) -> None:
    if not place.is_dir():
        _make(place.parent)
        place.mkdir(mode=0o700, exist_ok=True)


def _private_folder() -> Path:
    """A folder for this process's life. A forked child makes its own: its parent removes this one."""
    global _private
    if _private is None or _private[0] != os.getpid() or not _private[1].is_dir():
        import atexit
        import tempfile

        _private = os.getpid(), Path(os.path.realpath(tempfile.mkdtemp(prefix="gpuad-")))  # mode 0700
        atexit.register(_remove_private, *_private)
    return _private[1]


def _remove_private(process: int, place: Path) -> None:
    if process == os.getpid():
        _remove_tree(place)


def _remove_tree(place: Path) -> None:
    import shutil

    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def making(place: Path) -> Iterator[Path]:
    """A folder inside ``place`` for what isn't finished, which only this user can enter."""
    import tempfile

    work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place))
    try:
        yield work
    finally:
        _remove_tree(work)


def keep(made: Path, key: str, place: Path) -> Path:
    """Give a finished library of ``making(place)`` its name, which may be the one that another process gave."""
    made.chmod(0o700)  # whatever the umask let the compiler do
    kept = place / f"{key}-{_checksum(made.read_bytes())}{_SUFFIX}"
    made.replace(kept)
    _tidy(place, kept)
    return kept


def _tidy(place: Path, newest: Path) -> None:
    """Remove what dead processes left, and what was used least recently of more than ``BOUND`` bytes."""
    libraries = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(place):
            with contextlib.suppress(OSError):  # another process tidies, too
                found = entry.stat(follow_symlinks=False)
                if entry.name.startswith(_UNFINISHED) and time.time() - found.st_mtime > STALE:
                    _remove_tree(Path(entry.path))
                elif entry.name.endswith(_SUFFIX) and entry.name != newest.name:
                    libraries.append((found.st_mtime, found.st_size, entry.path))
        size = newest.stat().st_size + sum(size for _, size, _ in libraries)
        for _, its_size, path in sorted(libraries):
            if size <= BOUND:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            size -= its_size
