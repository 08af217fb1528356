"""The worker in its Job: the order in by environment, the result out by termination message and exit code."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import httpx
from pydantic import ValidationError

from repack_contract import progress as models
from repack_contract.edges import as_model, as_value
from repack_contract.errors import RepackError
from repack_contract.order import WorkOrder
from repack_contract.reasons import REASONS, Reason
from repack_contract.values import LogLine, Progress, Spec, WorkResult
from repack_worker.attempt import Attempt, working_folder
from repack_worker.dashboard_store import DashboardStore
from repack_worker.ingest import IngestReporter
from repack_worker.pipeline import named
from repack_worker.report import Journal, Reporter
from repack_worker.settings import TERMINATION_LOG, Settings, load_settings
from repack_worker.shared_cache import SharedCache
from repack_worker.sources import source_of
from repack_worker.store import ArtifactStore, FolderStore

_FLUSH_SECONDS = 15.0
_FLUSH_WHEN_STOPPED_SECONDS = 2.0
_STOPPED = 128 + signal.SIGTERM


class StdoutReporter:
    """The log as `kubectl logs` shows it."""

    def progress(self, progress: Progress) -> None:
        """Progress is for the dashboard."""

    def log(self, line: LogLine) -> None:
        """Write the line."""
        stage = f"[{line.stage.value}] " if line.stage else ""
        sys.stdout.write(f"{line.ts:%Y-%m-%dT%H:%M:%SZ} {line.level:<7} {stage}{line.text}\n")
        sys.stdout.flush()


async def work(order: WorkOrder, settings: Settings) -> WorkResult:
    """Make the packages of the order; report to the dashboard where there is one."""
    async with contextlib.AsyncExitStack() as stack:
        folder = await stack.enter_async_context(working_folder(settings.work_dir))
        log_file = folder / "log.ndjson"
        reporters: list[Reporter] = [StdoutReporter()]
        store: ArtifactStore = FolderStore(settings.work_dir / "out")
        ingest: IngestReporter | None = None
        shared: SharedCache | None = None
        if settings.ingest_url:
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=settings.ingest_url, trust_env=False))
            token_file = settings.ingest_token_file
            ingest = IngestReporter(client, uid=order.uid, attempt=order.attempt, token_file=token_file)
            store = DashboardStore(
                client, uid=order.uid, attempt=order.attempt, token_file=token_file, attempts=settings.publish_attempts
            )
            reporters.append(ingest)
            if settings.shared_cache:
                shared = SharedCache(client, token_file=token_file, remembers=settings.shared_results)
        journal = Journal(attempt=order.attempt, reporters=reporters, log_file=log_file)
        reporting = asyncio.create_task(ingest.run()) if ingest else None
        seconds = _FLUSH_WHEN_STOPPED_SECONDS
        try:
            result = await _attempt(order, settings, store=store, shared=shared, journal=journal, folder=folder)
            seconds = _FLUSH_SECONDS
        finally:
            journal.close()
            if ingest and reporting:
                await _flush(ingest, reporting, store=store, log_file=log_file, seconds=seconds)
        return result


async def _attempt(
    order: WorkOrder, settings: Settings, *, store: ArtifactStore, shared: SharedCache | None, journal: Journal,
    folder: Path,
) -> WorkResult:  # fmt: skip
    """Run the attempt within the task's deadline, which the Job enforces a little later without a word."""
    deadline = order.spec.active_deadline_seconds
    try:
        spec = as_value(order.spec, Spec)
        source = source_of(spec.source, settings)
        attempt = Attempt(
            spec=spec, settings=settings, source=source, store=store, journal=journal, folder=folder,
            shared=shared,
        )  # fmt: skip
        async with asyncio.timeout(max(deadline - 10, deadline * 0.9)) as limit:
            return await attempt.run()
    except TimeoutError as error:
        if not limit.expired():
            raise
        failure = RepackError(
            Reason.DEADLINE_EXCEEDED, f"The attempt ran longer than spec.activeDeadlineSeconds ({deadline} s)."
        )
        failure.__cause__ = error
    except RepackError as error:
        failure = error
    except asyncio.CancelledError:
        journal.say("Stopped by a signal", "warning")
        raise
    journal.say(failure.with_hint, "error")
    return _failed(failure)


async def _flush(
    ingest: IngestReporter, reporting: asyncio.Task[None], *, store: ArtifactStore, log_file: Path, seconds: float
) -> None:
    """Send what is left, the whole log too, within a bounded time: a dashboard that is down must not hold us."""
    ingest.close()
    with contextlib.suppress(TimeoutError, RepackError, OSError):
        async with asyncio.timeout(seconds):
            await reporting
            await store.put_log(log_file)
    reporting.cancel()


async def _until_signal(order: WorkOrder, settings: Settings) -> WorkResult | None:
    """Return the result, or None when a signal came first; either way nothing is left running."""
    task = asyncio.create_task(work(order, settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None
    except Exception as error:
        return _failed(named(error, doing="The worker"))


def main() -> int:
    """Do the work and return the exit code."""
    try:
        settings = load_settings()
    except RepackError as error:
        sys.stderr.write(f"{error.with_hint}\n")
        if TERMINATION_LOG.exists():  # where the kubelet reads; what the setting says is not known
            _write_termination(TERMINATION_LOG, _failed(error))
        return error.exit_code
    if not settings.order:
        sys.stderr.write("REPACK_ORDER is not set: this program is run by the operator; see `dify-repack pack`.\n")
        return 2
    try:
        order = WorkOrder.model_validate_json(settings.order)
    except ValidationError as error:
        first = error.errors()[0]
        fault = RepackError(
            Reason.INTERNAL,
            f"REPACK_ORDER cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            hint="Operator and worker are of different versions: use images of one release.",
        )
        sys.stderr.write(f"{fault.with_hint}\n")
        _write_termination(settings.termination_log, _failed(fault))
        return fault.exit_code
    result = asyncio.run(_until_signal(order, settings))
    stopped = WorkResult(ok=False, message="The worker was stopped by a signal.")
    _write_termination(settings.termination_log, result or stopped)
    if result is None:
        return _STOPPED
    return 0 if result.ok else REASONS[Reason(result.reason or Reason.INTERNAL)].exit_code or 1


def _failed(error: RepackError) -> WorkResult:
    return WorkResult(ok=False, reason=error.reason.value, message=error.message, hint=error.hint)


def _write_termination(path: Path, result: WorkResult) -> None:
    try:
        path.write_bytes(as_model(result, models.WorkResult).termination_message())
    except OSError as error:
        sys.stderr.write(f"The result could not be written to {path}: {error.strerror}\n")
