"""Fetching the wheels of a plan into a cache addressed by content: what is there and right is not fetched again."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from repack_contract.reasons import Reason
from repack_worker.archive import sha256_of
from repack_worker.fetch import Download, Fetcher
from repack_worker.plan import Wheel
from repack_worker.threads import in_thread

_LARGEST_WHEEL = 4 << 30
_FILES_PATH = "/packages/"


class WheelCache:
    """`<folder>/<sha256>/<filename>`. Every read is checked by hash; a wrong file is thrown away and fetched again."""

    def __init__(self, folder: Path, *, fetcher: Fetcher, connections: int) -> None:
        self._folder, self._fetcher = folder, fetcher
        self._slots = asyncio.Semaphore(connections)

    async def collect(
        self, wheels: Sequence[Wheel], *, index: str | None, on_bytes: Callable[[int], None],
        on_wheel: Callable[[Wheel, bool], None],
    ) -> dict[Wheel, Path]:  # fmt: skip
        """Return the file of each wheel.

        Args:
            wheels: what to fetch.
            index: address of a mirror to take the files from in place of the one in the plan.
            on_bytes: called with the bytes that are there now.
            on_wheel: called with each wheel when it is there, and whether it was fetched.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    wheel: group.create_task(self._one(wheel, index=index, on_bytes=on_bytes, on_wheel=on_wheel))
                    for wheel in wheels
                }
        except ExceptionGroup as group_error:  # the first failure stopped the others
            raise group_error.exceptions[0] from group_error
        return {wheel: task.result() for wheel, task in tasks.items()}

    async def _one(
        self, wheel: Wheel, *, index: str | None, on_bytes: Callable[[int], None],
        on_wheel: Callable[[Wheel, bool], None],
    ) -> Path:  # fmt: skip
        path = self._folder / wheel.sha256 / wheel.filename
        async with self._fetcher.flight(wheel.sha256), self._slots:
            if await in_thread(_is_right, path, wheel):
                on_bytes(path.stat().st_size)
                on_wheel(wheel, False)  # noqa: FBT003 - the callback's one flag
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            # A name of our own: two workers may write the same entry, and the last rename wins with equal bytes.
            arriving = path.with_name(f".{uuid.uuid4().hex[:8]}-{wheel.filename}")
            await self._fetcher.download(
                Download(
                    url=moved(wheel.url, index) if index else wheel.url,
                    target=arriving,
                    what=f"{wheel.name} {wheel.version}",
                    limit=wheel.size_bytes or _LARGEST_WHEEL,
                    sha256=wheel.sha256,
                    missing=Reason.INDEX_UNREACHABLE,
                    on_bytes=on_bytes,
                )
            )
            arriving.replace(path)
            on_wheel(wheel, True)  # noqa: FBT003
            return path


def _is_right(path: Path, wheel: Wheel) -> bool:
    if not path.is_file():
        return False
    if sha256_of(path) == wheel.sha256:
        return True
    path.unlink(missing_ok=True)
    return False


def moved(url: str, index: str) -> str:
    """Return the address of the file on another index, which is guarded by its hash.

    Mirrors keep the path `/packages/…` of the public index's file host beside their `/simple` (repackaging.md 6.1).
    An address without such a path, or on the index already, stays.
    """
    path = urlsplit(url).path
    at = path.find(_FILES_PATH)
    base = index.rstrip("/").removesuffix("/simple")
    if at < 0 or url.startswith(base):
        return url
    return base + path[at:]
