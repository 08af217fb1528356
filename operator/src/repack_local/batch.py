"""`dify-repack pack --list FILE`: many plugins in one process, in parallel; downloads shared, failures kept apart."""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import WorkResult
from repack_local import results
from repack_local.batch_display import BatchDisplay
from repack_local.batch_list import Ledger, Line, key_of, read_list
from repack_local.showing import loudness_of
from repack_local.wishes import Wish, allowing, check_output, settings_of, wish_of
from repack_worker.attempt import Attempt, working_folder
from repack_worker.fetch import Fetcher
from repack_worker.pipeline import named
from repack_worker.report import Journal
from repack_worker.settings import Settings
from repack_worker.store import ArtifactStore, Companions, FolderStore
from repack_worker.threads import in_thread

SOME_FAILED = 5
"""Exit code when at least one line failed; no reason has it."""


@dataclass(frozen=True)
class Outcome:
    """What became of one line."""

    line: Line
    result: WorkResult
    seconds: float
    before: bool = False
    """Made by an earlier run, and still there."""

    @property
    def word(self) -> str:
        """One word for the table."""
        return ("there" if self.before else "made") if self.result.ok else "failed"


class OneAtATime:
    """A store that several attempts share: two lines may lead to one file, and the last one stands."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store, self._lock = store, asyncio.Lock()

    async def put(
        self, package: Path, *, target: Arch, sha256: str, companions: Companions, on_bytes: Callable[[int], None]
    ) -> str:
        """Store the package and return its address."""
        async with self._lock:
            return await self._store.put(
                package, target=target, sha256=sha256, companions=companions, on_bytes=on_bytes
            )

    async def put_log(self, log: Path) -> None:
        """Keep no log."""

    async def put_result(self, result: WorkResult) -> None:
        """Keep no result: the report beside each package says it."""


@dataclass
class Batch:
    """What the lines of one run share."""

    arguments: argparse.Namespace
    settings: Settings
    fetcher: Fetcher
    store: ArtifactStore
    ledger: Ledger
    display: BatchDisplay
    folder: Path
    list_folder: Path
    slots: asyncio.Semaphore

    async def line(self, line: Line) -> Outcome:
        """Do what one line asks for; whatever goes wrong is its outcome."""
        async with self.slots:
            started = time.monotonic()
            self.display.begin(line.number, line.text)
            try:
                result, before = await self._done(line)
            except Exception as error:
                failure = named(error, doing=line.text)
                result, before = _failed(failure), False
            outcome = Outcome(line, result, seconds=time.monotonic() - started, before=before)
            self.display.end(line.number, line.text, result, word=outcome.word, seconds=outcome.seconds)
            return outcome

    async def _done(self, line: Line) -> tuple[WorkResult, bool]:
        wish = wish_of(line.text, self.arguments, self.settings, folder=self.list_folder, sha256=line.sha256)
        async with working_folder(self.folder) as folder:
            source = await wish.source.pinned(folder, fetcher=self.fetcher)
            key = await in_thread(key_of, wish, source, self.settings)
            # Two lines of one meaning: the second waits for the first, and finds its files.
            async with self.fetcher.flight(key):
                if not self.arguments.again and (found := await in_thread(self.ledger.find, key)):
                    return found, True
                wish = Wish(text=wish.text, source=source, spec=wish.spec)
                result = await self._attempt(wish, line, folder)
                if result.ok:
                    await in_thread(self.ledger.keep, key, source.label, result)
        return result, False

    async def _attempt(self, wish: Wish, line: Line, folder: Path) -> WorkResult:
        journal = Journal(attempt=1, reporters=[self.display.reporter(line.number, line.text)])
        return await Attempt(
            spec=wish.spec, settings=self.settings, source=wish.source, store=self.store, journal=journal,
            folder=folder, fetcher=self.fetcher,
        ).run()  # fmt: skip


async def pack_list(arguments: argparse.Namespace) -> int:
    """Work on every line of a list and return the exit code."""
    check_output(arguments.output)
    lines = read_list(await in_thread(_text_of, arguments.list))
    await in_thread(lambda: arguments.output.mkdir(parents=True, exist_ok=True))
    started = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        folder = await stack.enter_async_context(working_folder(Path(tempfile.gettempdir())))
        settings = allowing(settings_of(folder, arguments), [line.text for line in lines])
        batch = Batch(
            arguments=arguments,
            settings=settings,
            fetcher=await stack.enter_async_context(Fetcher(settings)),
            store=OneAtATime(FolderStore(arguments.output)),
            ledger=Ledger(arguments.output),
            display=stack.enter_context(BatchDisplay(len(lines), loudness=loudness_of(arguments))),
            folder=folder,
            list_folder=Path() if str(arguments.list) == "-" else arguments.list.parent,
            slots=asyncio.Semaphore(arguments.jobs),
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(batch.line(line)) for line in lines]
    outcomes = [task.result() for task in tasks]
    _show(outcomes, arguments, seconds=time.monotonic() - started)
    return 0 if all(outcome.result.ok for outcome in outcomes) else SOME_FAILED


def _failed(failure: RepackError) -> WorkResult:
    return WorkResult(ok=False, reason=failure.reason.value, message=failure.message, hint=failure.hint)


def _text_of(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise RepackError(
            Reason.INVALID_SPEC,
            f"--list: {file} could not be read: {why}.",
            hint="Name a text file with one source a line.",
        ) from error


def _show(outcomes: Sequence[Outcome], arguments: argparse.Namespace, *, seconds: float) -> None:
    if arguments.json:
        results.print_json(
            {
                "ok": all(outcome.result.ok for outcome in outcomes),
                "seconds": round(seconds, 3),
                "lines": [
                    {"line": it.line.number, "source": it.line.text, "outcome": it.word,
                     "seconds": round(it.seconds, 3), **results.result_json(it.result)}
                    for it in outcomes
                ],
            }
        )  # fmt: skip
        return
    if arguments.quiet:
        for outcome in outcomes:
            results.print_result(outcome.result, quiet=True)
        return
    results.print_table(
        ("line", "source", "outcome", "seconds", "bytes", "result"), map(_row, outcomes), right={0, 3, 4}
    )
    words = [outcome.word for outcome in outcomes]
    print(f"\n{words.count('made')} made, {words.count('there')} there before, {words.count('failed')} failed")


def _row(outcome: Outcome) -> tuple[str, ...]:
    result = outcome.result
    size = results.size_text(sum(artifact.size_bytes or 0 for artifact in result.artifacts)) if result.ok else ""
    what = (
        ", ".join(str(artifact.name) for artifact in result.artifacts)
        if result.ok
        else f"{result.reason}: {result.message} {result.hint}"
    )
    return str(outcome.line.number), outcome.line.text, outcome.word, f"{outcome.seconds:.1f}", size, what
