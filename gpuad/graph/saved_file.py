"""The file that recordings are saved in: a zip of two members, ``program.json`` and ``arrays.bin``, and a checksum.

The archive's comment, its last bytes, has the number of the format and the SHA-256 of all that comes before it. That
shows damage, not forgery: whoever changes a file can compute it anew. So the content is checked as anybody's would be.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import SavedFileError

#: A file of another format isn't read.
FORMAT = 1
#: More bytes than this the program doesn't have, whatever a file says: it isn't unpacked further.
_LONGEST = 1 << 29
_START, _LENGTH = b"gpuad-jit ", 10 + 4 + 64
_MEMBERS = ("program.json", "arrays.bin")


def write(path: Path, program: dict[str, Any], blocks: list[bytes]) -> None:
    """Put it in the place of whatever file is there, or leave that as it is."""
    import hashlib
    import json
    import zipfile

    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(unfinished, "xb+") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.comment = b" " * _LENGTH
                text = json.dumps(program, separators=(",", ":"), allow_nan=False)
                # The date of a member is the earliest there is: the same recordings make the same file.
                archive.writestr(zipfile.ZipInfo(_MEMBERS[0]), text, zipfile.ZIP_DEFLATED, 6)
                with archive.open(zipfile.ZipInfo(_MEMBERS[1]), "w", force_zip64=True) as member:
                    for block in blocks:
                        member.write(block)
            size = file.seek(-_LENGTH, os.SEEK_END)
            checksum, left = hashlib.sha256(), size
            file.seek(0)
            while left:
                part = file.read(min(left, 1 << 20))
                checksum.update(part)
                left -= len(part)
            file.write(_START + b"%03d " % FORMAT + checksum.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The program and the bytes of the arrays. Raises ``SavedFileError``; ``OSError`` where there is no file."""
    import hashlib
    import io
    import json
    import zipfile
    import zlib

    content = path.read_bytes()
    if not content.startswith(b"PK\x03\x04"):
        raise SavedFileError(f"{path} is no file that gpuad.jit(f).save has written")
    end = content[-_LENGTH:]
    if not end.startswith(_START):
        raise SavedFileError(f"{path} is cut short, or no file that gpuad.jit(f).save has written: save it again")
    number, _, checksum = end[len(_START) :].partition(b" ")
    if number != b"%03d" % FORMAT:
        raise SavedFileError(
            f"{path} is in format {number.decode('ascii', 'replace')}, and this gpuad reads format {FORMAT}. "
            "Save the function again with this version"
        )
    if hashlib.sha256(memoryview(content)[:-_LENGTH]).hexdigest().encode() != checksum:
        raise SavedFileError(f"{path} is damaged: its checksum is another. Copy it again, or save it again")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            program, arrays = (archive.getinfo(name) for name in _MEMBERS)
            if program.file_size > _LONGEST or arrays.compress_type != zipfile.ZIP_STORED:
                raise SavedFileError(f"{path}: its members aren't as gpuad writes them")
            found = json.loads(archive.read(program))
            return found, archive.read(arrays)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise SavedFileError(f"{path} isn't as gpuad writes it: {error}") from None
