"""One message of every type, as it travels: `tests/golden/*.json`, which the tests of both languages read.

`python tests/golden_messages.py` writes the files anew after a change of `repack_contract.messages` that was meant.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from builders import a_task
from repack_contract.messages import (
    AllSnapshot,
    Authenticate,
    ErrorMessage,
    GoAway,
    Hello,
    LogData,
    OperatorHealthChanged,
    Ping,
    Pong,
    SnapshotEntry,
    Subscribe,
    Subscribed,
    TaskDeleted,
    TaskLog,
    TaskProgress,
    TaskSnapshot,
    TaskStatus,
    Unsubscribe,
    Unsubscribed,
)
from repack_contract.phases import Stage
from repack_contract.progress import LogLine, Progress, StageProgress, StageState
from repack_contract.views import OperatorHealth, OperatorState, TaskView
from repack_dashboard.frames import payload

FOLDER = Path(__file__).parent / "golden"
_AT = datetime(2026, 11, 23, 5, 0, 1, tzinfo=UTC)
_TASK = a_task(status={"phase": "Running", "attempt": 1, "sequence": 3})
_PROGRESS = Progress(
    attempt=1,
    tick=7,
    stage=Stage.DOWNLOAD,
    stages=[StageProgress(stage=Stage.DOWNLOAD, state=StageState.RUNNING, bytes_done=512, bytes_total=2048)],
    percent=25,
    message="numpy 2.1.3",
    updated_at=_AT,
)
_VIEW = TaskView.of(_TASK, progress=_PROGRESS)
_OF_TASK = {"task_id": "uid-1", "namespace": "default", "name": "demo"}
_HEALTH = OperatorHealth(state=OperatorState.HEALTHY, last_heard_at=_AT, leader=True, queue_depth=0, running=1, slots=4)


def _event(*, seq: int, gseq: int) -> dict[str, object]:
    return {**_OF_TASK, "seq": seq, "gseq": gseq, "epoch": "9f2c", "ts": _AT}


SERVER: dict[str, BaseModel] = {
    "hello": Hello(
        conn="c-1",
        epoch="9f2c",
        seq=40,
        recovered=False,
        replayed=0,
        ping_interval=30,
        server="0.1.0",
        operator=_HEALTH,
    ),
    "snapshot-all": AllSnapshot(
        gseq=40,
        epoch="9f2c",
        data=[SnapshotEntry(task_id="uid-1", namespace="default", name="demo", seq=2, data=_VIEW)],
    ),
    "snapshot-task": TaskSnapshot.model_validate({**_OF_TASK, "seq": 2, "gseq": 40, "epoch": "9f2c", "data": _VIEW}),
    "task-status": TaskStatus.model_validate({**_event(seq=3, gseq=41), "data": _VIEW}),
    "task-progress": TaskProgress.model_validate({**_event(seq=5, gseq=43), "coalesced": 1, "data": _PROGRESS}),
    "task-deleted": TaskDeleted.model_validate(_event(seq=6, gseq=44)),
    "task-log": TaskLog.model_validate(
        {**_OF_TASK, "data": LogData(attempt=1, lines=[LogLine(n=1, ts=_AT, stage=Stage.DOWNLOAD, text="numpy")])}
    ),
    "operator-health": OperatorHealthChanged(data=_HEALTH),
    "subscribed": Subscribed(id=3, channel="task:uid-1", epoch="9f2c", seq=2, recovered=True, replayed=0),
    "unsubscribed": Unsubscribed(id=4, channel="task:uid-1"),
    "ping": Ping(id=7, ts=12.5),
    "pong": Pong(id=1),
    "goaway": GoAway(reason="drain", retry_after_ms=4200),
    "error": ErrorMessage(code="bad_message", message="This message is not understood.", id=3),
}
CLIENT: dict[str, BaseModel] = {
    "ping": Ping(id=1),
    "pong": Pong(id=7),
    "subscribe": Subscribe(id=2, channel="task:uid-1", since=42, epoch="9f2c"),
    "unsubscribe": Unsubscribe(id=3, channel="task:uid-1"),
    "auth": Authenticate(token="a-token"),
}
FILES = {
    f"{side}-{name}.json": each for side, of in (("server", SERVER), ("client", CLIENT)) for name, each in of.items()
}


def text(message: BaseModel) -> str:
    """Return the content of a message's file: its very JSON, laid out for people."""
    return json.dumps(json.loads(payload(message)), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, message in FILES.items():
        (FOLDER / name).write_text(text(message), encoding="utf-8")
