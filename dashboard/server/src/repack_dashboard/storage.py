"""Route: what is stored. Counted from the entries themselves, so that the figures are the store's own."""

from collections.abc import Iterable

from fastapi import APIRouter

from repack_contract.views import StorageReport, StoredBytes, TaskView
from repack_dashboard import layout
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess
from repack_objects.bucket import Found


def routes(services: Services) -> APIRouter:
    """Return the route of the storage report."""
    router = APIRouter(tags=["installation"])

    @router.get("/storage")
    async def storage(access: UserAccess) -> StorageReport:
        """Return how many files of each kind there are, how large they are, and when they go."""
        services.check_listed()
        views = [view for view in services.board.store if access.shows(view.namespace)]
        hidden = {view.uid for view in services.board.store} - {view.uid for view in views}
        return await report(services, views, hidden=hidden)

    return router


async def report(services: Services, views: Iterable[TaskView], *, hidden: set[str]) -> StorageReport:
    """Measure what is stored.

    Args:
        services: settings, and where the files are.
        views: the tasks that the asker may see.
        hidden: uids of all other tasks that exist; their files are counted nowhere.
    """
    settings, blobs = services.settings, services.blobs
    uids = {view.uid for view in views}
    named = {view.spec.source.upload.key.partition("-")[0] for view in views if view.spec.source.upload}
    packages: list[int] = []
    logs: list[int] = []
    uploads: list[int] = []
    leaving: list[int] = []
    for found in await blobs.entries(layout.TASKS):
        task, name = _folder_and_name(found)
        if task in hidden:
            continue
        if task not in uids:
            leaving.append(found.size_bytes)
        elif name.endswith(layout.PACKAGE_SUFFIX):
            packages.append(found.size_bytes)
        elif name == layout.LOG:
            logs.append(found.size_bytes)
    others = {view.spec.source.upload.key.partition("-")[0] for view in services.board.store
              if view.uid in hidden and view.spec.source.upload}  # fmt: skip
    for found in await blobs.entries(layout.UPLOADS):
        number, _ = _folder_and_name(found)
        if found.key == layout.upload(number) and number not in others - named:
            (uploads if number in named else leaving).append(found.size_bytes)
    space = blobs.space()
    return StorageReport(
        packages=_sum(packages),
        logs=_sum(logs),
        uploads=_sum(uploads),
        leaving=_sum(leaving),
        retention_seconds=settings.retention_seconds,
        max_upload_bytes=settings.max_upload_bytes,
        max_artifact_bytes=settings.max_artifact_bytes,
        volume_bytes=space[0] if space else None,
        free_bytes=space[1] if space else None,
    )


def _folder_and_name(found: Found) -> tuple[str, str]:
    """Return whose an entry is, a task's or an upload's, and its name."""
    _, folder, *rest = found.key.split("/")
    return folder, rest[-1] if rest else ""


def _sum(sizes: list[int]) -> StoredBytes:
    return StoredBytes(files=len(sizes), size_bytes=sum(sizes))
