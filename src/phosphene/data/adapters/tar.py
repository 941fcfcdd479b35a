"""Tar shards read file after file, each checked before it is kept in memory."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

from phosphene.core.errors import DataError
from phosphene.data.limits import shown

__all__ = ["files_of"]

_HEADERS = 1 << 20
"""Bytes that may describe one file of an archive."""

_PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


class _Begun:
    """A stream whose beginning was already read."""

    def __init__(self, begin: bytes, rest: Any) -> None:
        self._begin, self._rest = begin, rest

    def read(self, size: int = -1) -> bytes:
        """What is asked for or, at the seam, less."""
        if not self._begin:
            return bytes(self._rest.read(size))
        found = self._begin[:size] if size >= 0 else self._begin
        self._begin = self._begin[len(found) :]
        return found


class _Counted:
    """A stream that refuses a header longer than the limit."""

    def __init__(self, source: str, stream: Any) -> None:
        self._source, self._stream, self.left = source, stream, _HEADERS

    def read(self, size: int) -> bytes:
        """What is asked for."""
        found = bytes(self._stream.read(size))
        self.left -= len(found)
        if self.left < 0:
            raise DataError(
                f"shard {self._source!r} cannot be read: a header of more than {shown(_HEADERS)}"
            )
        return found


def files_of(
    shard: str, stream: Any, wanted: Callable[[str], bool], admitted: Callable[[int], None]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the plain files of an archive; of what is not wanted, no content.

    Args:
        shard: What the archive is called.
        stream: Where it is read from; it may be compressed as gzip, bz2 or xz.
        wanted: Whether a file of this name is held.
        admitted: Called with the size of each such file before it is read; raises if it may not be.

    Raises:
        DataError: A header is too long, or a file has holes.
    """
    begin = bytes(stream.read(6))
    whole: Any = _Begun(begin, stream)
    for magic, reader in _PACKED.items():
        if begin.startswith(magic):
            whole = reader(whole)
    counted: Any = _Counted(shard, whole)
    archive: Any
    with tarfile.open(fileobj=counted, mode="r|") as archive:
        for member in archive:
            if member.issparse():
                raise DataError(f"shard {shard!r} cannot be read: {member.name!r} has holes")
            counted.left = member.size + _HEADERS
            if member.isreg():
                content = b""
                if wanted(member.name):
                    admitted(member.size)
                    content = archive.extractfile(member).read()
                yield member.name, content
            archive.members = []  # which it would keep for all files
