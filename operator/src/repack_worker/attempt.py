"""One attempt from its settings to its result: folders, listeners and stages put together, and cleaned up after."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from repack_contract.errors import RepackError
from repack_contract.values import Spec, WorkResult
from repack_worker.fetch import Fetcher
from repack_worker.folders import remove_tree
from repack_worker.guard import NetworkGuard
from repack_worker.pipeline import run_steps
from repack_worker.report import Journal
from repack_worker.settings import Settings, proxy_for
from repack_worker.sources import PluginSource
from repack_worker.stages import DRY_RUN_STEPS, STEPS, plan_status
from repack_worker.store import ArtifactStore
from repack_worker.threads import in_thread
from repack_worker.work import Work

if TYPE_CHECKING:
    from repack_worker.object_wheels import ObjectWheels
    from repack_worker.shared_cache import SharedCache


class Attempt(Struct, frozen=True):
    """What is needed to make the packages of one task once."""

    spec: Spec
    settings: Settings
    source: PluginSource
    store: ArtifactStore
    journal: Journal
    folder: Path
    shared: "SharedCache | None" = None
    """The dashboard's wheel cache, where there is one."""
    fetcher: Fetcher | None = None
    """Shared by several attempts, which then fetch nothing twice; one of its own when absent."""
    on_work: Callable[[Work], None] = lambda _work: None
    """Called with all that is known of the work when it has been done."""

    async def run(self) -> WorkResult:
        """Run all stages and return the result; failures are results too, with reason, message and hint."""
        async with contextlib.AsyncExitStack() as stack:
            fetcher = self.fetcher
            if fetcher is None:
                fetcher = await stack.enter_async_context(Fetcher(self.settings))
            guard = await stack.enter_async_context(NetworkGuard(self.settings.addresses, proxy_for))
            work = Work(
                spec=self.spec,
                settings=self.settings,
                source=self.source,
                store=self.store,
                journal=self.journal,
                fetcher=fetcher,
                guard=guard,
                folder=self.folder,
                shared=self.shared,
                bucket=_bucket(self.settings),
            )
            try:
                await run_steps(DRY_RUN_STEPS if self.spec.dry_run else STEPS, work)
            except RepackError as error:
                self.journal.say(f"{error.reason.value}: {error.message}", "error")
                self.journal.say(f"Hint: {error.hint}", "error")
                return WorkResult(
                    ok=False, reason=error.reason.value, message=error.message, hint=error.hint,
                    plugin=work.plugin.info if work.plugin else None, artifacts=work.artifacts,
                )  # fmt: skip
        self.on_work(work)
        if any(target.failure for target in work.targets):
            reason, message = work.failed()
            hint = next(target.failure.hint for target in work.targets if target.failure)
            self.journal.say(f"{reason.value}: {message}", "error")
            return WorkResult(
                ok=False, reason=reason.value, message=message, hint=hint, plugin=work.the_plugin.info,
                plan=plan_status(work) if self.spec.dry_run else None, artifacts=work.artifacts,
            )  # fmt: skip
        result = WorkResult(
            ok=True,
            plugin=work.the_plugin.info,
            plan=plan_status(work) if self.spec.dry_run else None,
            artifacts=work.artifacts,
        )
        if result.artifacts:
            await self.store.put_result(result)
        return result


def _bucket(settings: Settings) -> "ObjectWheels | None":
    if not (location := settings.wheel_store):
        return None
    from repack_worker.object_wheels import wheels_at  # noqa: PLC0415 - of those who have a bucket

    return wheels_at(location)


@contextlib.asynccontextmanager
async def working_folder(parent: Path) -> AsyncIterator[Path]:
    """Give a new folder below `parent`, removed at the end whatever happens."""
    folder = await in_thread(_new_folder, parent)
    try:
        yield folder
    finally:
        remove_tree(folder)


def _new_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="attempt-", dir=parent))
