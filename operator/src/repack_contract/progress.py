"""What a worker tells while it runs (to the dashboard alone) and when it ends (to the operator, through its Pod)."""

from pydantic import AwareDatetime, Field

from repack_contract.choices import LogLevel
from repack_contract.phases import Stage
from repack_contract.phases import StageState as StageState  # noqa: PLC0414 - re-exported
from repack_contract.task import Artifact, Plan, PluginInfo
from repack_contract.wire import Model

MAX_TERMINATION_BYTES = 4096
"""What the kubelet keeps of a termination message."""


class StageProgress(Model):
    """One stage of an attempt."""

    stage: Stage
    state: StageState = StageState.PENDING
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    """None while nobody knows; then no percentage may be shown."""
    message: str | None = Field(default=None, max_length=1024)
    """What is being done, such as `numpy 2.1.3` or `2 of 3 targets`."""


class Progress(Model):
    """The whole progress of one attempt. Each tick replaces the one before, so that a lost one does no harm."""

    attempt: int = Field(ge=1)
    tick: int = Field(ge=0)
    """Grows with every report of one attempt; an older tick that comes late is dropped."""
    stage: Stage | None = None
    """The stage that runs, or ran last."""
    stages: list[StageProgress] = Field(default_factory=list)
    percent: int | None = Field(default=None, ge=0, le=100)
    message: str | None = Field(default=None, max_length=1024)
    plugin: PluginInfo | None = None
    """Known once the manifest was read."""
    updated_at: AwareDatetime


class LogLine(Model):
    """One line of a worker's log."""

    n: int = Field(ge=1)
    """Contiguous per (task uid, attempt); recognises lines that are sent again."""
    ts: AwareDatetime
    level: LogLevel = "info"
    stage: Stage | None = None
    text: str = Field(max_length=8192)
    """May hold ANSI colours of a child process; never a secret."""


class WorkResult(Model):
    """How an attempt ended: the JSON of the termination message, at most `MAX_TERMINATION_BYTES` bytes.

    Artifacts are listed whatever the outcome: those of the targets that passed verification and were published.
    """

    ok: bool
    reason: str | None = None
    message: str | None = None
    hint: str | None = None
    plugin: PluginInfo | None = None
    plan: Plan | None = None
    artifacts: list[Artifact] = Field(default_factory=list)

    def termination_message(self) -> bytes:
        """Return the JSON, shortened until the kubelet keeps it whole: warnings first, then long texts."""
        result = self
        for shorten in (_as_it_is, _without_warnings, _with_short_texts, _bare):
            result = shorten(result)
            data = result.model_dump_json(exclude_none=True).encode()
            if len(data) <= MAX_TERMINATION_BYTES:
                return data
        raise ValueError(f"a result of {len(data)} bytes cannot be made to fit {MAX_TERMINATION_BYTES}")


def _as_it_is(result: WorkResult) -> WorkResult:
    return result


def _without_warnings(result: WorkResult) -> WorkResult:
    plan = result.plan and result.plan.model_copy(update={"warnings": None})
    return result.model_copy(update={"plan": plan})


def _with_short_texts(result: WorkResult) -> WorkResult:
    def short(text: str | None, limit: int) -> str | None:
        return text if text is None or len(text.encode()) <= limit else text.encode()[:limit].decode(errors="ignore")

    artifacts = [
        artifact.model_copy(
            update={
                "verification": artifact.verification
                and artifact.verification.model_copy(update={"message": short(artifact.verification.message, 150)})
            }
        )
        for artifact in result.artifacts
    ]
    return result.model_copy(
        update={"message": short(result.message, 800), "hint": short(result.hint, 300), "artifacts": artifacts}
    )


def _bare(result: WorkResult) -> WorkResult:
    bare = [artifact.model_copy(update={"uri": None}) for artifact in result.artifacts]
    return result.model_copy(update={"plugin": None, "artifacts": bare})
