"""What every replica must hear although it is no event of the log: it has no number, and who is away misses it.

Lines of a log are numbered by themselves and lie on the volume; the operator's heartbeat comes again in five seconds.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from repack_contract.events import Heartbeat
from repack_contract.progress import LogLine


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class LinesKept(_Note):
    """Lines of an attempt are on the volume."""

    kind: Literal["lines"] = "lines"
    uid: str
    namespace: str
    name: str
    attempt: int
    lines: tuple[LogLine, ...]
    size: int
    """Bytes of the attempt's log with these lines; whoever has it in memory knows by it whether that is all."""


class HeartbeatHeard(_Note):
    """The operator gave a sign of life."""

    kind: Literal["heartbeat"] = "heartbeat"
    heartbeat: Heartbeat
    instance: str
    epoch: int
    at: datetime


Note = LinesKept | HeartbeatHeard
_NOTES: TypeAdapter[LinesKept | HeartbeatHeard] = TypeAdapter(Annotated[Note, Field(discriminator="kind")])


def read_note(data: bytes) -> Note:
    """Return a note from its JSON; fields of a newer version are ignored. Raises `ValidationError`."""
    return _NOTES.validate_json(data, extra="ignore")
