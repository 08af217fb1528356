"""What a worker tells while it works: one journal that the stages write to, and those who listen to it.

The journal turns what the stages say into `Progress` (whole, each replacing the one before) and numbered log lines.
Listeners must not block: they take a value and return.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from repack_contract.choices import LogLevel
from repack_contract.errors import sanitize
from repack_contract.phases import Stage, StageState
from repack_contract.values import LogLine, PluginInfo, Progress, StageProgress

_MAX_TEXT = 8000
_MAX_LOG_BYTES = 64 << 20
WEIGHTS = {
    Stage.FETCH: 5, Stage.PLAN: 5, Stage.DOWNLOAD: 40, Stage.BUILD: 0, Stage.PACK: 10, Stage.VERIFY: 35,
    Stage.PUBLISH: 5,
}  # fmt: skip
"""What share of the whole a stage is, roughly by the time it takes; only for the one percentage of the list."""


class Reporter(Protocol):
    """Someone who listens to a worker; one that has `watches_progress = False` hears lines alone."""

    def progress(self, progress: Progress) -> None:
        """Take the newest progress; the ones before are void."""

    def log(self, line: LogLine) -> None:
        """Take the next line of the log."""


class Journal:
    """The story of one attempt. May be written to from several threads."""

    def __init__(
        self,
        *,
        attempt: int,
        reporters: Sequence[Reporter],
        log_file: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Start a story.

        Args:
            attempt: its number.
            reporters: who listens.
            log_file: where the whole log is kept, one JSON LogLine a line; nowhere when absent.
            clock: the time.
        """
        self._attempt, self._reporters, self._clock = attempt, reporters, clock
        self._watchers = [reporter for reporter in reporters if getattr(reporter, "watches_progress", True)]
        self._file = log_file.open("a", encoding="utf-8") if log_file else None
        self._stages: dict[Stage, StageProgress] = {}
        self._stage: Stage | None = None
        self._plugin: PluginInfo | None = None
        self._tick = self._lines = self._logged_bytes = 0
        self._lock = threading.RLock()

    def plan_stages(self, stages: Sequence[Stage]) -> None:
        """Announce the stages to come, in order."""
        with self._lock:
            self._stages = {stage: StageProgress(stage=stage) for stage in stages}
            self._tell()

    def add_stage(self, stage: Stage, *, before: Stage) -> None:
        """Announce a stage that turned out to be needed."""
        with self._lock:
            known, self._stages = self._stages, {}
            for name, progress in known.items():
                if name is before:
                    self._stages[stage] = StageProgress(stage=stage)
                self._stages[name] = progress
            self._tell()

    def start(self, stage: Stage) -> None:
        """Note that a stage begins."""
        self._stage = stage
        self._change(stage, state=StageState.RUNNING, started_at=self._clock())

    def finish(self, stage: Stage, state: StageState = StageState.DONE) -> None:
        """Note that a stage has ended, well or not."""
        self._change(stage, state=state, finished_at=self._clock())

    def total(self, size_bytes: int | None) -> None:
        """Note how many bytes the running stage will move; None when nobody knows."""
        if self._stage:
            self._change(self._stage, bytes_total=size_bytes)

    def moved(self, count: int) -> None:
        """Note that the running stage has moved so many bytes more (or, negative, must move them again)."""
        if not self._watchers:  # bytes move in thousands of pieces: telling nobody costs as much as moving them
            return
        with self._lock:
            if self._stage:
                self._change(self._stage, bytes_done=max(0, self._stages[self._stage].bytes_done + count))

    def doing(self, message: str) -> None:
        """Note what the running stage does now."""
        if self._stage:
            self._change(self._stage, message=sanitize(message, limit=1024))

    def plugin(self, info: PluginInfo) -> None:
        """Note which plugin it is."""
        with self._lock:
            self._plugin = info
            self._tell()

    def say(self, text: str, level: LogLevel = "info") -> None:
        """Add a line to the log; secrets in addresses are taken out here, for every listener at once."""
        with self._lock:
            for part in sanitize(text, limit=_MAX_TEXT).splitlines() or [""]:
                self._lines += 1
                line = LogLine(n=self._lines, ts=self._clock(), level=level, stage=self._stage, text=part)
                self._keep(line)
                for reporter in self._reporters:
                    reporter.log(line)

    def close(self) -> None:
        """Close the log file."""
        if self._file:
            self._file.close()

    def _keep(self, line: LogLine) -> None:
        if not self._file or self._file.closed or self._logged_bytes > _MAX_LOG_BYTES:
            return
        # A full disk must be reported as such by the stage that met it, not hidden behind its log's own failure.
        with suppress(OSError):
            self._logged_bytes += self._file.write(msgspec.json.encode(line).decode() + "\n")
            self._file.flush()

    def _change(self, stage: Stage, **changes: object) -> None:
        with self._lock:
            if stage in self._stages:
                self._stages[stage] = self._stages[stage].but(**changes)
                self._tell()

    def _tell(self) -> None:
        self._tick += 1
        running = self._stages.get(self._stage) if self._stage else None
        progress = Progress(
            attempt=self._attempt,
            tick=self._tick,
            stage=self._stage,
            stages=list(self._stages.values()),
            percent=percent_of(list(self._stages.values())),
            message=running.message if running else None,
            plugin=self._plugin,
            updated_at=self._clock(),
        )
        for reporter in self._watchers:
            reporter.progress(progress)


def percent_of(stages: Sequence[StageProgress]) -> int | None:
    """Return how much of the work is done, by weights of the stages; None before the first one began."""
    if all(stage.state is StageState.PENDING for stage in stages):
        return None
    whole = sum(WEIGHTS[stage.stage] for stage in stages) or 1
    done = sum(WEIGHTS[stage.stage] * _share(stage) for stage in stages)
    return min(100, int(100 * done / whole))


def _share(stage: StageProgress) -> float:
    if stage.state in {StageState.DONE, StageState.SKIPPED}:
        return 1.0
    if stage.state is StageState.PENDING or not stage.bytes_total:
        return 0.0
    return min(1.0, stage.bytes_done / stage.bytes_total)
