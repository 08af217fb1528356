"""Joining a channel: what was missed, or a snapshot, and then everything, without a gap and without a repetition.

`enter` is one synchronous block: between reading the log and joining the channel nothing can be published
(realtime.md 2.1). Nothing in it may ever wait.
"""

from dataclasses import dataclass
from typing import Protocol

from repack_contract.messages import (
    ALL_TASKS,
    TASK_CHANNEL_PREFIX,
    AllSnapshot,
    Hello,
    SnapshotEntry,
    Subscribed,
    TaskSnapshot,
    TaskStatus,
)
from repack_contract.views import OperatorHealth
from repack_dashboard.clock import now
from repack_dashboard.eventlog import EventLog, Replay
from repack_dashboard.frames import frame
from repack_dashboard.hub import Client, Hub
from repack_dashboard.metrics import Metrics
from repack_dashboard.session import Join, Opening
from repack_dashboard.store import Store

PART_TASKS = 200
"""Tasks in one frame of a snapshot of all: about 200 KB, so that other frames get through between."""


class HasHealth(Protocol):
    """Somebody who knows how the operator is."""

    health: OperatorHealth


@dataclass(frozen=True)
class Greeting:
    """What a hello says of the server, and of the operator."""

    server: str
    """Its version."""
    ping_interval: float
    operator: HasHealth


class Welcome:
    """Lets clients into channels."""

    def __init__(
        self,
        *,
        hub: Hub,
        log: EventLog,
        store: Store,
        metrics: Metrics,
        greeting: Greeting,
    ) -> None:
        self._hub = hub
        self._log = log
        self._store = store
        self._metrics = metrics
        self._greeting = greeting
        self._all: tuple[int, list[bytes]] = (-1, [])

    def greet(self, client: Client, uid: str | None, opening: Opening) -> None:
        """Let a new client into the channel of its path, after the hello."""
        if not client.is_v1:
            self._greet_base(client, uid)
            return
        replay = self._replay(uid, since=opening.since, epoch=opening.epoch)
        hello = Hello(
            conn=client.id,
            epoch=self._log.epoch,
            seq=self._log.head(uid),
            recovered=replay.recovered,
            replayed=len(replay.frames),
            ping_interval=self._greeting.ping_interval,
            server=self._greeting.server,
            operator=self._greeting.operator.health,
        )
        self._hub.send(client, [frame(hello)], kind="hello")
        self._enter(client, uid, replay)

    def join(self, client: Client, wish: Join) -> bool:
        """Let a client into a further channel, or again into one from another position; False: no such task."""
        uid = uid_of_channel(wish.channel)
        if uid is not None and uid not in self._store:
            return False
        replay = self._replay(uid, since=wish.since, epoch=wish.epoch)
        answer = Subscribed(
            id=wish.id,
            channel=wish.channel,
            epoch=self._log.epoch,
            seq=self._log.head(uid),
            recovered=replay.recovered,
            replayed=len(replay.frames),
        )
        self._hub.send(client, [frame(answer)], kind="subscribed")
        self._enter(client, uid, replay)
        return True

    def _greet_base(self, client: Client, uid: str | None) -> None:
        """Show a client of the base contract the task as it is, which is what its first frame always was."""
        if uid is not None and (view := self._store.get(uid)) is not None:
            status = TaskStatus.model_construct(
                task_id=uid,
                namespace=view.namespace,
                name=view.name,
                seq=self._log.head(uid),
                gseq=self._log.head(None),
                epoch=self._log.epoch,
                ts=now(),
                data=view,
            )
            self._hub.send(client, [frame(status)], kind="task.status")
        self._hub.join(client, ALL_TASKS if uid is None else TASK_CHANNEL_PREFIX + uid)

    def _replay(self, uid: str | None, *, since: int | None, epoch: str | None) -> Replay:
        if since is None or epoch is None:
            return Replay("epoch")  # it has nothing yet, or forgot of which numbering: a snapshot
        replay = self._log.since(uid, position=since, epoch=epoch)
        self._metrics.resumes.labels(replay.verdict).inc()
        self._metrics.replayed.inc(len(replay.frames))
        return replay

    def _enter(self, client: Client, uid: str | None, replay: Replay) -> None:
        if replay.recovered:
            self._hub.send(client, list(replay.frames), kind="replay")
        else:
            self._hub.send(client, self._all_snapshot() if uid is None else self._snapshot(uid), kind="snapshot")
        self._hub.join(client, ALL_TASKS if uid is None else TASK_CHANNEL_PREFIX + uid)

    def _snapshot(self, uid: str) -> list[bytes]:
        view = self._store.get(uid)
        if view is None:
            return []
        snapshot = TaskSnapshot.model_construct(
            task_id=uid,
            namespace=view.namespace,
            name=view.name,
            seq=self._log.head(uid),
            gseq=self._log.head(None),
            epoch=self._log.epoch,
            data=view,
        )
        return [frame(snapshot)]

    def _all_snapshot(self) -> list[bytes]:
        """Return the frames of a snapshot of all tasks; made once for all who come at the same moment."""
        head = self._log.head(None)
        if self._all[0] != head:
            self._all = (head, self._make_all_snapshot(head))
        return self._all[1]

    def _make_all_snapshot(self, head: int) -> list[bytes]:
        entries = [
            SnapshotEntry.model_construct(
                task_id=view.uid, namespace=view.namespace, name=view.name, seq=self._log.head(view.uid), data=view
            )
            for view in self._store
        ]
        parts = [entries[start : start + PART_TASKS] for start in range(0, len(entries), PART_TASKS)] or [[]]
        return [
            frame(
                AllSnapshot.model_construct(gseq=head, epoch=self._log.epoch, part=number, parts=len(parts), data=part)
            )
            for number, part in enumerate(parts, start=1)
        ]


def uid_of_channel(channel: str) -> str | None:
    """Return the task that a channel is about, None for that of all tasks."""
    return None if channel == ALL_TASKS else channel.removeprefix(TASK_CHANNEL_PREFIX)
