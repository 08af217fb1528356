"""Route: what lies on the volume. Counted from the files themselves, so that the figures are the volume's own."""

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastapi import APIRouter

from repack_contract.views import StorageReport, StoredBytes, TaskView
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess


def routes(services: Services) -> APIRouter:
    """Return the route of the storage report."""
    router = APIRouter(tags=["installation"])

    @router.get("/storage")
    async def storage(access: UserAccess) -> StorageReport:
        """Return how many files of each kind there are, how large they are, and when they go."""
        services.check_listed()
        views = [view for view in services.board.store if access.shows(view.namespace)]
        hidden = {view.uid for view in services.board.store} - {view.uid for view in views}
        return await asyncio.to_thread(report, services, views, hidden=hidden)

    return router


def report(services: Services, views: Iterable[TaskView], *, hidden: set[str]) -> StorageReport:
    """Measure the volume.

    Args:
        services: settings, and where the files are.
        views: the tasks that the asker may see.
        hidden: uids of all other tasks that exist; their files are counted nowhere.
    """
    settings, root = services.settings, services.settings.data_dir
    uids = {view.uid for view in views}
    named = {view.spec.source.upload.key.partition("-")[0] for view in views if view.spec.source.upload}
    packages: list[int] = []
    logs: list[int] = []
    uploads: list[int] = []
    leaving: list[int] = []
    for task, path, size in _files(root / "tasks"):
        if task in hidden:
            continue
        if task not in uids:
            leaving.append(size)
        elif path.name.endswith(".difypkg"):
            packages.append(size)
        elif path.name == "log.ndjson":
            logs.append(size)
    others = {view.spec.source.upload.key.partition("-")[0] for view in services.board.store
              if view.uid in hidden and view.spec.source.upload}  # fmt: skip
    for number, path, size in _files(root / "uploads"):
        if path.name == "package" and number not in others - named:
            (uploads if number in named else leaving).append(size)
    disk = shutil.disk_usage(root if root.exists() else root.parent)
    return StorageReport(
        packages=_sum(packages),
        logs=_sum(logs),
        uploads=_sum(uploads),
        leaving=_sum(leaving),
        retention_seconds=settings.retention_seconds,
        max_upload_bytes=settings.max_upload_bytes,
        max_artifact_bytes=settings.max_artifact_bytes,
        volume_bytes=disk.total,
        free_bytes=disk.free,
    )


def _files(root: Path) -> Iterator[tuple[str, Path, int]]:
    """Yield each file below the folders of `root`: the folder's name, the file, its size."""
    for folder in root.iterdir() if root.is_dir() else ():
        for path in folder.rglob("*"):
            try:
                if path.is_file():
                    yield folder.name, path, path.stat().st_size
            except FileNotFoundError:
                continue  # swept away this very moment


def _sum(sizes: list[int]) -> StoredBytes:
    return StoredBytes(files=len(sizes), size_bytes=sum(sizes))
