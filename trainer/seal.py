"""A checksum that a zip archive carries as its comment: still an archive, that any reader takes."""

import hashlib
import zipfile
from pathlib import Path

MARK = b"sha256:"
LENGTH = len(MARK) + 64  # of the comment
LARGEST = 16 * 2**30  # bytes of a file that is read at all: a hundred times the largest model of the config


def seal(archive: bytes) -> bytes:
    """An archive without a comment, with the checksum of all its bytes."""
    assert archive.endswith(b"\0\0"), "an archive ends with the length of its comment"
    comment = MARK + hashlib.sha256(archive).hexdigest().encode()
    return archive[:-2] + LENGTH.to_bytes(2, "little") + comment


def read_sealed(path: Path) -> bytes:
    """An archive's bytes. Raises ValueError if they are not those that were written, or no plain archive.

    One that was written without a checksum is taken as it is. Members must be stored as they are: a small
    file that unpacks to a large one is none of ours.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{size / 2**30:.0f} GiB, more than any checkpoint has")
    data = path.read_bytes()
    sealed, comment = data[:-LENGTH], data[-LENGTH:]
    if comment.startswith(MARK):
        found = hashlib.sha256(sealed[:-2] + b"\0\0").hexdigest().encode()
        if found != comment.removeprefix(MARK):
            raise ValueError("its checksum is another: bytes were changed after it was written")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"it was cut short, or never was one ({error})") from None
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its parts are compressed, which a checkpoint's are not")
    return data
