"""Packages: what users uploaded and what workers made.

A package and, beside it, a JSON file that says what it is and is written last (`layout.py` says where).
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum

from pydantic import BaseModel, ValidationError

from repack_contract.errors import RepackError
from repack_contract.progress import WorkResult
from repack_contract.reasons import Reason
from repack_contract.task import Arch
from repack_contract.views import Upload
from repack_dashboard import layout
from repack_dashboard.blobs import Blobs
from repack_dashboard.content import Content
from repack_objects.bucket import Found

_KEY = re.compile(r"([0-9a-f]{32})-[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._-]+")


class Companion(StrEnum):
    """The files that belong to an artifact, by the end of their name."""

    REPORT = "report.json"
    SBOM = "sbom.cdx.json"
    PUBLIC_KEY = "public_key.pem"


class StoredFile(BaseModel):
    """What is known of a stored package."""

    key: str
    """Of an upload, as `spec.source.upload.key` names it; of an artifact its target."""
    name: str
    """As its sender called it."""
    size_bytes: int
    sha256: str


class Packages:
    """All packages of one folder or bucket."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def take_upload(self, chunks: AsyncIterator[bytes], *, filename: str, max_bytes: int) -> Upload:
        """Store what a user sends.

        Raises:
            RepackError: `PackageTooLarge`, `DiskFull`, `InvalidPackage` (not a zip file by its first bytes).
        """
        number = secrets.token_hex(16)
        place = layout.upload(number)
        content = await self._blobs.take(
            place, chunks, max_bytes=max_bytes, check=lambda content: _check_is_zip(content, filename)
        )
        stored = _stored(f"{number}-{key_part(filename)}", filename, content)
        await self._write_facts(place, stored)
        return Upload(key=stored.key, filename=filename, size_bytes=stored.size_bytes, sha256=stored.sha256)

    async def find_upload(self, key: str) -> tuple[Found, StoredFile] | None:
        """Return an uploaded package by its key."""
        match = _KEY.fullmatch(key)
        found = await self._load(layout.upload(match.group(1))) if match else None
        return found if found is not None and found[1].key == key else None

    async def take_artifact(
        self,
        chunks: AsyncIterator[bytes],
        *,
        uid: str,
        attempt: int,
        stored_as: tuple[Arch, str],
        sha256: str,
        max_bytes: int,
    ) -> StoredFile:
        """Store what a worker made: (target, file name). The same again replaces it by itself.

        Raises:
            RepackError: `PackageTooLarge`, `DiskFull`, `ChecksumMismatch`.
        """
        target, name = stored_as
        place = artifact_key(uid, attempt, target)

        def check(content: Content) -> None:
            if content.sha256 != sha256:
                raise RepackError(
                    Reason.CHECKSUM_MISMATCH,
                    f"{name} arrived with sha256 {content.sha256}, announced was {sha256}.",
                    hint="Send it again; if it repeats, a proxy between worker and dashboard changes what it carries.",
                )

        stored = _stored(target.value, name, await self._blobs.take(place, chunks, max_bytes=max_bytes, check=check))
        await self._write_facts(place, stored)
        return stored

    async def find_artifact(self, uid: str, name: str) -> tuple[Found, StoredFile] | None:
        """Return an artifact of a task by its file name; of several attempts the last one's."""
        files = await self._files(uid)
        for folder in sorted({_folder(key) for key in files}, key=_number, reverse=True):
            for target in Arch:
                found = files.get(f"{folder}/{target.value}{layout.PACKAGE_SUFFIX}")
                stored = await self._facts(found) if found else None
                if found and stored and stored.name == name:
                    return found, stored
        return None

    async def take_companion(
        self, chunks: AsyncIterator[bytes], *, uid: str, attempt: int, target: Arch, kind: Companion, max_bytes: int
    ) -> None:
        """Store a file that belongs to an artifact. Raises `PackageTooLarge`, `DiskFull`."""
        place = f"{layout.attempt(uid, attempt)}/{target.value}.{kind.value}"
        await self._blobs.take(place, chunks, max_bytes=max_bytes, check=None)

    async def companions(self, uid: str, name: str) -> Mapping[Companion, Found]:
        """Return the files that belong to the artifact of that name."""
        found = await self.find_artifact(uid, name)
        if found is None:
            return {}
        files, start = await self._files(uid), f"{_folder(found[0].key)}/{found[1].key}"
        return {kind: files[place] for kind in Companion if (place := f"{start}.{kind.value}") in files}

    async def holds(self, uid: str, attempt: int, result: WorkResult) -> bool:
        """Tell whether every package that a result names is stored, with the checksum that it names."""
        for made in result.artifacts:
            found = await self._load(artifact_key(uid, attempt, made.target))
            if found is None or found[1].sha256 != made.sha256:
                return False
        return result.ok

    async def keep_result(self, uid: str, attempt: int, result: WorkResult) -> None:
        """Keep the result of an attempt beside its packages."""
        data = result.model_dump_json(exclude_none=True, by_alias=True).encode()
        await self._blobs.write(f"{layout.attempt(uid, attempt)}/{layout.RESULT}", data)

    async def find_result(self, uid: str, attempt: int) -> WorkResult | None:
        """Return the result of an attempt whose packages are still all here."""
        data = await self._blobs.read(f"{layout.attempt(uid, attempt)}/{layout.RESULT}")
        try:
            result = WorkResult.model_validate_json(data or b"")
        except ValueError:
            return None
        return result if await self.holds(uid, attempt, result) else None

    async def _files(self, uid: str) -> dict[str, Found]:
        return {found.key: found for found in await self._blobs.entries(layout.task(uid))}

    async def _load(self, key: str) -> tuple[Found, StoredFile] | None:
        found = await self._blobs.find(key)
        stored = await self._facts(found) if found else None
        return (found, stored) if found and stored else None

    async def _facts(self, found: Found) -> StoredFile | None:
        """Return what is known of a package; None of one that is not whole yet."""
        try:
            stored = StoredFile.model_validate_json(await self._blobs.read(layout.facts(found.key)) or b"")
        except ValidationError:
            return None
        # A crash between the two writes of a replacement leaves facts of the older file: those do not count.
        return stored if found.size_bytes == stored.size_bytes else None

    async def _write_facts(self, key: str, stored: StoredFile) -> None:
        await self._blobs.write(layout.facts(key), stored.model_dump_json().encode())


def artifact_key(uid: str, attempt: int, target: Arch) -> str:
    """Return where the package of a target is kept."""
    return f"{layout.attempt(uid, attempt)}/{target.value}{layout.PACKAGE_SUFFIX}"


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _number(folder: str) -> int:
    name = folder.rpartition("/")[2]
    return int(name) if name.isdecimal() else 0


def _stored(key: str, name: str, content: Content) -> StoredFile:
    return StoredFile(key=key, name=name, size_bytes=content.size_bytes, sha256=content.sha256)


def key_part(filename: str) -> str:
    """Return the readable part of an upload's key: the file name, of allowed characters only."""
    cleaned = _NOT_IN_KEYS.sub("-", filename).lstrip("._-")[-120:].lstrip("._-")
    return cleaned or "package"


def _check_is_zip(content: Content, filename: str) -> None:
    if content.head[:4] not in {b"PK\x03\x04", b"PK\x05\x06"}:
        raise RepackError(
            Reason.INVALID_PACKAGE, f"{filename} is no .difypkg: it does not begin like a zip file.",
            hint="Choose the file that the Dify Marketplace or the plugin's release page offers for download.",
        )  # fmt: skip
