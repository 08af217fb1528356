"""Packages on the volume: what users uploaded and what workers made.

`uploads/<id>/` and `tasks/<uid>/<attempt>/`: a package and, beside it, a JSON file that says what it is and is
written last. No name that a user chose becomes a path: ids are our own, uids are the cluster's, the rest is numbers
and the fixed names of targets.
"""

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ValidationError

from repack_contract.errors import RepackError
from repack_contract.progress import WorkResult
from repack_contract.reasons import Reason
from repack_contract.task import Arch
from repack_contract.views import Upload
from repack_dashboard.attempts import Attempts
from repack_dashboard.files import Received, receive, write_whole
from repack_dashboard.problems import disk_problem
from repack_dashboard.retention import sweep

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
    """All packages of one volume."""

    def __init__(self, root: Path, attempts: Attempts) -> None:
        self._uploads = root / "uploads"
        self._incoming = root / "incoming"
        self._attempts = attempts

    def clean_incoming(self) -> None:
        """Remove what a crash left half-received. Only at start, while nothing is being received."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    async def take_upload(self, chunks: AsyncIterator[bytes], *, filename: str, max_bytes: int) -> Upload:
        """Store what a user sends.

        Raises:
            RepackError: `PackageTooLarge`, `DiskFull`, `InvalidPackage` (not a zip file by its first bytes).
        """
        received = await receive(chunks, incoming=self._incoming, max_bytes=max_bytes)
        try:
            _check_is_zip(received.path, filename)
            number = secrets.token_hex(16)
            stored = StoredFile(
                key=f"{number}-{key_part(filename)}",
                name=filename,
                size_bytes=received.size_bytes,
                sha256=received.sha256,
            )
            self._publish(received, self._uploads / number / "package", stored)
        finally:
            received.discard()
        return Upload(key=stored.key, filename=filename, size_bytes=stored.size_bytes, sha256=stored.sha256)

    def find_upload(self, key: str) -> tuple[Path, StoredFile] | None:
        """Return an uploaded package by its key."""
        match = _KEY.fullmatch(key)
        found = _load(self._uploads / match.group(1) / "package") if match else None
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
        final = self._attempts.folder(uid, attempt) / f"{target.value}.difypkg"
        received = await receive(chunks, incoming=self._incoming, max_bytes=max_bytes)
        try:
            if received.sha256 != sha256:
                raise RepackError(
                    Reason.CHECKSUM_MISMATCH,
                    f"{name} arrived with sha256 {received.sha256}, announced was {sha256}.",
                    hint="Send it again; if it repeats, a proxy between worker and dashboard changes what it carries.",
                )
            stored = StoredFile(key=target.value, name=name, size_bytes=received.size_bytes, sha256=received.sha256)
            self._publish(received, final, stored)
        finally:
            received.discard()
        return stored

    def find_artifact(self, uid: str, name: str) -> tuple[Path, StoredFile] | None:
        """Return an artifact of a task by its file name; of several attempts the last one's."""
        for attempt in reversed(self._folders(uid)):
            for target in Arch:
                found = _load(attempt / f"{target.value}.difypkg")
                if found is not None and found[1].name == name:
                    return found
        return None

    async def take_companion(
        self, chunks: AsyncIterator[bytes], *, uid: str, attempt: int, target: Arch, kind: Companion, max_bytes: int
    ) -> None:
        """Store a file that belongs to an artifact. Raises `PackageTooLarge`, `DiskFull`."""
        received = await receive(chunks, incoming=self._incoming, max_bytes=max_bytes)
        try:
            received.publish(self._attempts.folder(uid, attempt) / f"{target.value}.{kind.value}")
        finally:
            received.discard()

    def find_companion(self, uid: str, name: str, kind: Companion) -> Path | None:
        """Return a file that belongs to the artifact of that name."""
        found = self.find_artifact(uid, name)
        path = found[0].with_name(f"{found[1].key}.{kind.value}") if found else None
        return path if path and path.is_file() else None

    def holds(self, uid: str, attempt: int, result: WorkResult) -> bool:
        """Tell whether every package that a result names is stored, with the checksum that it names."""
        folder = self._attempts.folder(uid, attempt)
        found = ((_load(folder / f"{made.target.value}.difypkg"), made) for made in result.artifacts)
        return result.ok and all(stored is not None and stored[1].sha256 == made.sha256 for stored, made in found)

    async def keep_result(self, uid: str, attempt: int, result: WorkResult) -> None:
        """Keep the result of an attempt beside its packages."""
        data = result.model_dump_json(exclude_none=True, by_alias=True).encode()
        try:
            await asyncio.to_thread(write_whole, self._result(uid, attempt), data)
        except OSError as error:
            raise disk_problem(error) from error

    def find_result(self, uid: str, attempt: int) -> WorkResult | None:
        """Return the result of an attempt whose packages are still all here."""
        try:
            result = WorkResult.model_validate_json(self._result(uid, attempt).read_bytes())
        except (OSError, ValueError):
            return None
        return result if self.holds(uid, attempt, result) else None

    def _result(self, uid: str, attempt: int) -> Path:
        return self._attempts.folder(uid, attempt) / "result.json"

    def sweep_uploads(self, *, live: frozenset[str], now: float, grace_seconds: float) -> list[str]:
        """Remove the uploads that no task has named for the time of grace."""

        def is_live(folder: Path) -> bool:
            found = _load(folder / "package")
            return found is not None and found[1].key in live

        return sweep(self._uploads, is_live=is_live, now=now, grace_seconds=grace_seconds)

    def _folders(self, uid: str) -> list[Path]:
        folder = self._attempts.folder(uid)
        numbers = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
        return sorted(numbers, key=lambda path: int(path.name))

    def _publish(self, received: Received, final: Path, stored: StoredFile) -> None:
        received.publish(final)
        write_whole(_facts(final), stored.model_dump_json().encode())


def key_part(filename: str) -> str:
    """Return the readable part of an upload's key: the file name, of allowed characters only."""
    cleaned = _NOT_IN_KEYS.sub("-", filename).lstrip("._-")[-120:].lstrip("._-")
    return cleaned or "package"


def _facts(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _load(path: Path) -> tuple[Path, StoredFile] | None:
    try:
        stored = StoredFile.model_validate_json(_facts(path).read_bytes())
        # A crash between the two writes of a replacement leaves facts of the older file: those do not count.
        return (path, stored) if path.stat().st_size == stored.size_bytes else None
    except (OSError, ValidationError):
        return None


def _check_is_zip(path: Path, filename: str) -> None:
    with path.open("rb") as file:
        head = file.read(4)
    if head not in {b"PK\x03\x04", b"PK\x05\x06"}:
        raise RepackError(
            Reason.INVALID_PACKAGE, f"{filename} is no .difypkg: it does not begin like a zip file.",
            hint="Choose the file that the Dify Marketplace or the plugin's release page offers for download.",
        )  # fmt: skip
