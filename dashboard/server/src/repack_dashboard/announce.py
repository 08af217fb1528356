"""What is told outside the event log, to the browsers of this replica: log lines, and how the operator is."""

from repack_contract.messages import ALL_TASKS, LogData, OperatorHealthChanged, TaskLog
from repack_dashboard.attempts import Attempts
from repack_dashboard.frames import frame
from repack_dashboard.hub import Hub, channel_of
from repack_dashboard.notes import HeartbeatHeard, LinesKept, Note
from repack_dashboard.operator_health import OperatorWatch
from repack_dashboard.welcome import SOME_TASKS


class Announcer:
    """Takes the notes of all replicas, this one too."""

    def __init__(self, *, hub: Hub, attempts: Attempts, operator: OperatorWatch) -> None:
        self._hub = hub
        self._attempts = attempts
        self._operator = operator

    def take(self, note: Note) -> None:
        """Tell those whom a note concerns."""
        match note:
            case LinesKept():
                self._tell_lines(note)
            case HeartbeatHeard():
                if self._operator.heard(note.heartbeat, instance=note.instance, epoch=note.epoch, at=note.at):
                    self.tell_health()

    def tell_health(self) -> None:
        """Tell everybody who hears all tasks how the operator is."""
        message = OperatorHealthChanged(data=self._operator.health)
        for channel in (ALL_TASKS, SOME_TASKS):
            self._hub.tell(channel, frame(message), kind="operator.health")

    def _tell_lines(self, note: LinesKept) -> None:
        self._attempts.hear(note.uid, note.attempt, note.lines, size=note.size)
        message = TaskLog.model_construct(
            task_id=note.uid,
            namespace=note.namespace,
            name=note.name,
            data=LogData.model_construct(attempt=note.attempt, lines=list(note.lines)),
        )
        self._hub.tell(channel_of(note.uid), frame(message), kind="task.log")
