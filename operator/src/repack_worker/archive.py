"""Reading a `.difypkg` that nobody vouches for, and writing one that comes out the same every time.

The daemon is laxer than its own format (repackaging.md 4.1, 4.5): it lets the first of two entries of one name win
and cleans paths. Our reader refuses whatever is not plainly a file below the root, and counts bytes while it reads,
because the sizes in a zip's headers are claims. It refuses directory entries too: the daemon's own check fails on one,
so such a package installs nowhere.
"""

import hashlib
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from msgspec import Struct

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

CHUNK = 1 << 20
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that zip knows: dates would make equal packages differ."""

VERIFICATION_FILE = ".verification.dify.json"
"""Says in whose name a package is signed; part of what is signed."""

_END_RECORD = struct.Struct("<4s4H2LH")
_LOCATOR_SIZE = 20
"""Bytes of the zip64 locator, which stands before the end record and makes readers believe other numbers."""
_ENTRY = struct.Struct("<28x3H12x")
"""A directory entry without its name, extra field and comment, whose lengths it gives."""
_LOCAL_HEADER_SIZE = 30
_MAX_COMMENT = 65535
_MORE_ENTRIES = "If you trust it, raise REPACK_MAX_ENTRIES."
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_RATIO_FREE_BYTES = 10 << 20
"""Below this size a high compression ratio is no bomb: small texts and empty files compress well."""


class Limits(Struct, frozen=True):
    """What a package may cost to unpack."""

    entries: int = 100_000
    total_bytes: int = 2 << 30
    ratio: int = 200
    """Unpacked bytes per packed byte, counted once 10 MiB are passed."""


class Unpacked(Struct, frozen=True):
    """A package laid out in a folder."""

    folder: Path
    names: tuple[str, ...]
    """In the order of the zip; `/` as separator."""
    checksum: str
    """The daemon's checksum of the content (`content_checksum`)."""
    total_bytes: int


class Member(Struct, frozen=True):
    """One file of a package to write: its bytes, or the file that holds them."""

    name: str
    content: bytes | Path
    stored: bool = False
    """Written as it is: wheels are compressed already, and deflating them costs 20 times the time for 1.6 %."""
    sha256: str = ""
    """Of the content, where somebody has just checked it: then it is not computed again."""

    @property
    def size(self) -> int:
        """Bytes when unpacked."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def invalid(message: str, *, hint: str | None = None) -> RepackError:
    """Return the error for a package that is none."""
    return RepackError(Reason.INVALID_PACKAGE, message, hint=hint)


def unpack(package: Path, into: Path, *, limits: Limits) -> Unpacked:
    """Lay the package out in the new folder `into`; raise `InvalidPackage` naming the entry that is at fault."""
    _check_end_record(package, limits)
    into.mkdir(parents=True)
    try:
        with zipfile.ZipFile(package) as archive:
            entries = archive.infolist()
            _check_names(entries, limits)
            _check_places(entries, package.stat().st_size)
            return _extract(archive, entries, into=into, limits=limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeDecodeError, NotImplementedError) as error:
        raise invalid(f"{package.name} is a damaged zip file: {error}.") from error


def _check_end_record(package: Path, limits: Limits) -> None:
    """Refuse what is no zip, and a directory of entries too long to be read into memory."""
    size = package.stat().st_size
    with package.open("rb") as file:
        head = file.read(512).lstrip()
        file.seek(max(0, size - _MAX_COMMENT - _END_RECORD.size - _LOCATOR_SIZE))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END_RECORD.size:
            raise invalid(f"{package.name} is not a zip file{_what_it_is(head, size)}.")
        _, _, _, _, count, directory_bytes, _, _ = _END_RECORD.unpack_from(tail, at)
        is_zip64 = tail[max(0, at - _LOCATOR_SIZE) : at].startswith(b"PK\x06\x07")
        if is_zip64 or count == 0xFFFF or directory_bytes == 0xFFFFFFFF:
            raise invalid(f"{package.name} is a zip64 file, for 65,535 or more entries, which no plugin needs.")
        if count > limits.entries or directory_bytes > limits.entries * 512:
            raise invalid(
                f"{package.name} has {count:,} entries; at most {limits.entries:,} are allowed.", hint=_MORE_ENTRIES
            )
        start = size - len(tail) + at - directory_bytes
        if start < 0:
            raise invalid(f"{package.name} is a damaged zip file: its directory is longer than the file.")
        file.seek(start)
        if (found := _entries_in(file.read(directory_bytes))) != count:
            raise invalid(f"{package.name} says that it has {count:,} entries, and has {found:,}.")


def _entries_in(directory: bytes) -> int:
    """Count the entries of a directory without reading them: the end record's count is a claim, each entry costs 1 kB.

    Ends at the first byte that begins no entry, as zipfile then fails on it.
    """
    at = count = 0
    while directory.startswith(b"PK\x01\x02", at) and at + _ENTRY.size <= len(directory):
        at += _ENTRY.size + sum(_ENTRY.unpack_from(directory, at))
        count += 1
    return count


def _what_it_is(head: bytes, size: int) -> str:
    if size == 0:
        return ", it is empty"
    if head[:1] == b"<":
        return " but a web page: the address leads to a page and not to the package"
    return ""


def _check_names(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if fault := _fault_of(entry):
            raise invalid(f"The package's entry {entry.orig_filename!r} {fault}.")
        twin = seen.get(folded := _folded(entry.filename))
        if twin == entry.filename:
            raise invalid(f"The package has two entries named {twin!r}.")
        if twin is not None:
            raise invalid(f"The package's entries {twin!r} and {entry.filename!r} are one file where case is ignored.")
        seen[folded] = entry.filename
    _check_folders({entry.filename for entry in entries}, limits)


def _check_folders(names: set[str], limits: Limits) -> None:
    """Refuse a name that is a file and a folder, and a forest of folders from few long names."""
    folders: set[str] = set()
    for name in names:
        parent = name.rpartition("/")[0]
        while parent and parent not in folders:
            if parent in names:
                raise invalid(f"The package's entry {parent!r} is a file, and a folder that holds {name!r}.")
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    if len(names) + len(folders) > limits.entries:
        raise invalid(
            f"The package has {len(names):,} files in {len(folders):,} folders; at most "
            f"{limits.entries:,} are allowed.",
            hint=_MORE_ENTRIES,
        )


def _check_places(entries: list[zipfile.ZipInfo], package_bytes: int) -> None:
    """Refuse entries that share bytes: so few bytes become many (David Fifield's zip bomb of 2019)."""
    end, before = 0, ""
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise invalid(f"The package's entries {before!r} and {entry.filename!r} overlap.")
        end = entry.header_offset + _LOCAL_HEADER_SIZE + len(entry.orig_filename) + entry.compress_size
        before = entry.filename
    if end > package_bytes:
        raise invalid(f"The package's entry {before!r} is longer than the package.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _fault_of(entry: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with an entry; None when nothing is."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    faults = (
        (not name or any(_is_control(char) for char in name), "has control characters in its name"),
        (name != entry.filename, f"has a second name, {entry.filename!r}"),
        ("\\" in name, "has a backslash in its name"),
        (name.startswith("/") or (len(name) > 1 and name[1] == ":"), "has an absolute path"),
        (".." in name.split("/"), "leads out of the package with '..'"),
        (name.endswith("/") or kind == stat.S_IFDIR or entry.external_attr & 0x10, "is a folder; "
         "Dify's daemon refuses packages with folder entries"),
        (kind == stat.S_IFLNK, "is a symbolic link"),
        (kind not in {0, stat.S_IFREG}, "is no ordinary file"),
        (any(part in {"", "."} for part in name.split("/")), "has an empty or '.' element in its path"),
        (len(name.encode()) > 1024 or any(len(part.encode()) > 255 for part in name.split("/")), "has too long a name"),
        (entry.flag_bits & 0x1, "is encrypted"),
        (entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED},
         "uses a compression that Dify's daemon cannot read"),
    )  # fmt: skip
    return next((text for wrong, text in faults if wrong), None)


def _is_control(char: str) -> bool:
    """Tell whether a character has no place in a name: it drives a terminal, ends a line or turns what follows."""
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(char) in _TURNS


def _extract(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], *, into: Path, limits: Limits) -> Unpacked:
    total, digests = 0, {}
    packed = sum(entry.compress_size for entry in entries)
    for entry in entries:
        target = into / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with archive.open(entry) as source, target.open("xb") as file:
            while chunk := source.read(CHUNK):
                total += len(chunk)
                _check_bomb(entry.filename, total=total, packed=packed, limits=limits)
                digest.update(chunk)
                file.write(chunk)
        digests[entry.filename] = digest.digest()
    names = tuple(entry.filename for entry in entries)
    return Unpacked(folder=into, names=names, checksum=checksum_of(digests), total_bytes=total)


def _check_bomb(name: str, *, total: int, packed: int, limits: Limits) -> None:
    if total > limits.total_bytes:
        raise RepackError(
            Reason.PACKAGE_TOO_LARGE,
            f"Unpacked, the package passes {limits.total_bytes:,} bytes at its entry {name!r}.",
            hint="If you trust it, raise REPACK_MAX_UNPACKED_BYTES.",
        )
    if total > _RATIO_FREE_BYTES and total > packed * limits.ratio:
        raise invalid(
            f"The package is a zip bomb: at its entry {name!r} it passes {limits.ratio} times its packed size."
        )


def checksum_of(digests: dict[str, bytes]) -> str:
    """Return the daemon's checksum of a package from the sha256 of each file (repackaging.md 4.3)."""
    whole = hashlib.sha256()
    for name in sorted(digests, key=str.encode):
        whole.update(hashlib.sha256(name.encode()).digest() + digests[name])
    return whole.hexdigest()


def pack(
    members: Iterable[Member],
    target: Path,
    *,
    on_bytes: Callable[[int], None] | None = None,
    sign: Callable[[Iterable[bytes]], bytes] | None = None,
) -> str:
    """Write the package and return the daemon's checksum of it: same members, same bytes, same checksum.

    No entries for folders, sorted names, one fixed date, one mode. A file that cannot be finished is removed.

    Args:
        members: what goes in.
        target: the file to write.
        on_bytes: called with the number of bytes written.
        sign: given the sha256 of each entry in their order, returns the zip's comment (repackaging.md 4.4).
    """
    digests: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(target, "w") as archive:
            for member in sorted(members, key=_place):
                digests[member.name] = _write_member(archive, member, on_bytes=on_bytes)
            if sign:
                archive.comment = sign(digests.values())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return checksum_of(digests)


def _place(member: Member) -> tuple[bool, bytes]:
    """Sort by name; the signature's own file comes last, as Dify's signer writes it."""
    return member.name == VERIFICATION_FILE, member.name.encode()


def _write_member(archive: zipfile.ZipFile, member: Member, *, on_bytes: Callable[[int], None] | None) -> bytes:
    info = zipfile.ZipInfo(member.name, FIXED_DATE)
    info.create_system = 3  # Unix on every machine
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_STORED if member.stored else zipfile.ZIP_DEFLATED
    info.file_size = member.size
    digest = hashlib.sha256()
    with archive.open(info, "w") as entry:
        for chunk in _chunks(member.content):
            if not member.sha256:
                digest.update(chunk)
            entry.write(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return bytes.fromhex(member.sha256) or digest.digest()


def _chunks(content: bytes | Path) -> Iterable[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        yield from _read(file)


def _read(file: IO[bytes]) -> Iterable[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
