"""Joining a channel: what was missed, or a snapshot, and then everything, without a gap and without a repetition.

`enter` is one synchronous block: between reading the log and joining the channel nothing can be published
(realtime.md 2.1). Nothing in it may ever wait.
"""

import json
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
    Unsubscribed,
)
from repack_contract.views import OperatorHealth
from repack_dashboard.clock import now
from repack_dashboard.eventlog import EventLog
from repack_dashboard.frames import frame, payload_of
from repack_dashboard.hub import Client, Hub, channel_of, channel_of_namespace
from repack_dashboard.metrics import Metrics
from repack_dashboard.ring import Replay
from repack_dashboard.session import Join, Opening
from repack_dashboard.store import Store
from repack_dashboard.users import Sees

SOME_TASKS = "tasks/"
"""The channel of those who hear all tasks that they may see: what is said to all, but not about a task. They are in
that of each of their namespaces too."""

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
        self._all: tuple[tuple[str, int], list[bytes]] = (("", -1), [])

    def greet(self, client: Client, uid: str | None, opening: Opening, *, sees: Sees = None) -> None:
        """Let a new client into the channel of its path, after the hello."""
        if not client.is_v1:
            self._greet_base(client, uid, sees)
            return
        replay = self._replay(uid, opening, sees)
        hello = Hello(
            conn=client.id,
            epoch=self._log.epoch,
            seq=self._log.head(uid),
            recovered=replay.recovered,
            replayed=len(replay.frames),
            filtered=sees is not None,
            ping_interval=self._greeting.ping_interval,
            server=self._greeting.server,
            operator=self._greeting.operator.health,
        )
        self._hub.send(client, [frame(hello)], kind="hello")
        self._enter(client, uid, replay, sees)

    def join(self, client: Client, wish: Join, *, sees: Sees = None) -> bool:
        """Let a client into a further channel, or again into one from another position; False: no such task."""
        uid = uid_of_channel(wish.channel)
        if uid is not None and not self._is_shown(uid, sees):
            return False
        replay = self._replay(uid, wish, sees)
        answer = Subscribed(
            id=wish.id,
            channel=wish.channel,
            epoch=self._log.epoch,
            seq=self._log.head(uid),
            recovered=replay.recovered,
            replayed=len(replay.frames),
        )
        self._hub.send(client, [frame(answer)], kind="subscribed")
        self._enter(client, uid, replay, sees)
        return True

    def leave(self, client: Client, channel: str) -> None:
        """Let a client out of a channel."""
        for name in sorted(client.channels) if channel == ALL_TASKS else [channel]:
            if name == channel or name.startswith(SOME_TASKS):
                self._hub.leave(client, name)

    def change(self, client: Client, sees: Sees) -> bool:
        """Let a client hear what it may see now, and tell it so; False when nothing is left of what it heard."""
        if not client.channels:
            return True  # it hears nothing anyway: it left, or the log begins anew and it is about to be sent away
        mine = [uid_of_channel(name) for name in client.channels if name.startswith(TASK_CHANNEL_PREFIX)]
        kept = [uid for uid in mine if uid is not None and (uid not in self._store or self._is_shown(uid, sees))]
        for uid in {uid for uid in mine if uid is not None}.difference(kept):
            self._hub.leave(client, TASK_CHANNEL_PREFIX + uid)
            if client.is_v1:
                left = frame(Unsubscribed(channel=TASK_CHANNEL_PREFIX + uid))
                self._hub.send(client, [left], kind="unsubscribed")
        if not client.channels.intersection({ALL_TASKS, SOME_TASKS}):
            return bool(kept)
        self.leave(client, ALL_TASKS)
        if sees is not None and not sees:
            return bool(kept)
        if client.is_v1:
            self._hub.send(client, self._all_snapshot(sees), kind="snapshot")
        self._hear(client, None, sees)
        return True

    def _is_shown(self, uid: str, sees: Sees) -> bool:
        view = self._store.get(uid)
        return view is not None and (sees is None or view.namespace in sees)

    def _hear(self, client: Client, uid: str | None, sees: Sees) -> None:
        if uid is None and sees is not None:
            self._hub.join(client, SOME_TASKS)
            for namespace in sorted(sees):
                self._hub.join(client, channel_of_namespace(namespace))
        else:
            self._hub.join(client, channel_of(uid))

    def _greet_base(self, client: Client, uid: str | None, sees: Sees) -> None:
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
        self._hear(client, uid, sees)

    def _replay(self, uid: str | None, wish: Opening | Join, sees: Sees) -> Replay:
        if wish.since is None or wish.epoch is None:
            return Replay("epoch")  # it has nothing yet, or forgot of which numbering: a snapshot
        replay = self._log.since(uid, position=wish.since, epoch=wish.epoch)
        if uid is None and sees is not None:
            replay = Replay(replay.verdict, tuple(one for one in replay.frames if _namespace_of(one) in sees))
        self._metrics.resumes.labels(replay.verdict).inc()
        self._metrics.replayed.inc(len(replay.frames))
        return replay

    def _enter(self, client: Client, uid: str | None, replay: Replay, sees: Sees) -> None:
        if replay.recovered:
            self._hub.send(client, list(replay.frames), kind="replay")
        else:
            self._hub.send(client, self._all_snapshot(sees) if uid is None else self._snapshot(uid), kind="snapshot")
        self._hear(client, uid, sees)

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

    def _all_snapshot(self, sees: Sees) -> list[bytes]:
        """Return the frames of a snapshot of all tasks; made once for all who come at the same moment and see all."""
        head = self._log.head(None)
        if sees is not None:
            return self._make_all_snapshot(head, sees)
        if self._all[0] != (self._log.epoch, head):
            self._all = ((self._log.epoch, head), self._make_all_snapshot(head, None))
        return self._all[1]

    def _make_all_snapshot(self, head: int, sees: Sees) -> list[bytes]:
        entries = [
            SnapshotEntry.model_construct(
                task_id=view.uid, namespace=view.namespace, name=view.name, seq=self._log.head(view.uid), data=view
            )
            for view in self._store
            if sees is None or view.namespace in sees
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


def _namespace_of(finished: bytes) -> str:
    """Return the namespace that an event's frame is about; read from the frame, which is all that every log keeps."""
    return str(json.loads(payload_of(finished))["namespace"])
