"""Zip files that no packer writes: entries laid out byte by byte, so that headers can say anything."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RawEntry:
    """One entry; what is None follows from the content."""

    name: bytes
    content: bytes = b"x"
    deflated: bool = False
    claimed_size: int | None = None
    claimed_packed: int | None = None
    offset: int | None = None
    """Where the directory says that it begins."""
    extra: bytes = b""
    local_extra: bytes = b""
    attributes: int = 0
    flags: int = 0x800

    @property
    def data(self) -> bytes:
        if not self.deflated:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()

    def local(self) -> bytes:
        header = struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, self.flags, 8 * self.deflated, 0, 0x21, zlib.crc32(self.content),
            len(self.data), len(self.content), len(self.name), len(self.local_extra),
        )  # fmt: skip
        return header + self.name + self.local_extra + self.data

    def central(self, offset: int) -> bytes:
        packed = len(self.data) if self.claimed_packed is None else self.claimed_packed
        size = len(self.content) if self.claimed_size is None else self.claimed_size
        header = struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 0x0314, 20, self.flags, 8 * self.deflated, 0, 0x21, zlib.crc32(self.content),
            packed, size, len(self.name), len(self.extra), 0, 0, 0, self.attributes,
            offset if self.offset is None else self.offset,
        )  # fmt: skip
        return header + self.name + self.extra


def raw_zip(
    path: Path, *entries: RawEntry, count: int | None = None, comment: bytes = b"", before_end: bytes = b"",
    directory_bytes: int | None = None,
) -> Path:  # fmt: skip
    """Write the entries, their directory, `before_end` (a zip64 record) and the end record, true or not."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.central(len(body))
        body += entry.local()
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, *(2 * [len(entries) if count is None else count]),
        len(directory) if directory_bytes is None else directory_bytes, len(body), len(comment),
    )  # fmt: skip
    path.write_bytes(body + directory + before_end + end + comment)
    return path


def zip64_end(*, entries: int, directory_bytes: int, directory_at: int, at: int) -> bytes:
    """Return a zip64 end record and its locator, by which readers believe other numbers."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, directory_bytes, directory_at)
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)


def unicode_path(name: bytes, real: str) -> bytes:
    """Return the extra field 0x7075, a second name that some readers prefer (APPNOTE 4.6.9)."""
    field = struct.pack("<BL", 1, zlib.crc32(name)) + real.encode()
    return struct.pack("<2H", 0x7075, len(field)) + field
