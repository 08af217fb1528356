"""A real dashboard with the built page, on a stage: the cluster behind it is a fake, so that any state can be shown.

For what the embedded mode would take minutes to bring about, or never would: ten thousand tasks, a long queue, an image
that cannot be pulled, a week of history. Whatever is told goes the way it always goes: list, ingest, WebSocket.
"""

import asyncio
import contextlib
import hashlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_kube.resources import EVENTS, EVERYWHERE, PODS, ObjectList, Resource, Scope
from running_dashboard import Dashboard, a_dashboard, from_operator, heartbeat

STATIC = Path(__file__).resolve().parents[1] / "dashboard/server/src/repack_dashboard/static"


class StagedApi(FakeTaskApi):
    """Holds Pods and Events too."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        if resource in {PODS, EVENTS}:
            wanted = (scope.labels or "").split(",")[0].partition("=")
            return ObjectList(
                [
                    body
                    for body in (self.pods if resource is PODS else self.events)
                    if not wanted[2] or body["metadata"]["labels"].get(wanted[0]) == wanted[2]
                ],
                "1",
            )
        return await super().list(resource, scope)


_rounds = itertools.count(1)
_round = 0


def uid_of(number: int) -> str:
    """The uid of a task by its number. Each cleared stage has new ones: a uid that was deleted never comes back."""
    return f"00000000-0000-4000-{_round:04d}-{number:012d}"


@dataclass
class Stage:
    """Drives the dashboard from a test that knows no event loop."""

    loop: asyncio.AbstractEventLoop
    dashboard: Dashboard
    api: StagedApi
    health: dict[str, Any] | None = None
    """What the operator's heartbeat says, again and again; None: it is silent."""
    batches: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.dashboard.address}"

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the dashboard's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def put(self, *bodies: dict[str, Any]) -> None:
        """Let these tasks be in the cluster, and the dashboard see them."""

        async def act() -> None:
            for body in bodies:
                self.api.put(body)
            await self.dashboard.services.relist.refresh()

        self.run(act())

    def tell(self, *batches: dict[str, Any]) -> None:
        """Send batches to the ingest endpoint, one after the other."""
        for batch in batches:
            self.run(self.dashboard.ingest(batch))

    def clear(self) -> None:
        """Remove every task."""
        global _round  # noqa: PLW0603 - one for all stages, so that no two tests share a uid
        _round = next(_rounds)
        self.api.objects.clear()
        self.api.pods.clear()
        self.api.events.clear()
        self.run(self.dashboard.services.relist.refresh())

    def beat(self, **parts: Any) -> None:
        """Let the operator be heard from now on."""
        self.health = parts
        self.run(self._beat())

    async def _beat(self) -> None:
        if self.health is not None:
            self.batches += 1
            await self.dashboard.ingest(from_operator(heartbeat(**self.health), batch=self.batches))

    async def beat_for_ever(self) -> None:
        """Be the operator that is alive."""
        while True:  # ends with the stage, by cancellation
            await asyncio.sleep(3)
            await self._beat()


@contextlib.contextmanager
def staged(folder: Path, *, before: Callable[[StagedApi], Any] | None = None, **settings: Any) -> Iterator[Stage]:
    """Run a dashboard in a thread of its own until the block ends; `before` puts another API before the staged one."""
    started: threading.Event = threading.Event()
    held: dict[str, Any] = {}

    async def main() -> None:
        api = StagedApi()
        options = {"static_dir": STATIC, "drain_seconds": 0, "marketplace_url": ""} | settings
        seen = api if before is None else before(api)
        async with a_dashboard(folder, api=seen, **options) as dashboard:
            held["stage"] = stage = Stage(asyncio.get_running_loop(), dashboard, api)
            operator = asyncio.create_task(stage.beat_for_ever())
            held["end"] = end = asyncio.Event()
            started.set()
            await end.wait()
            operator.cancel()

    def body() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            held["error"] = error
            raise
        finally:
            started.set()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    started.wait(timeout=30)
    if "stage" not in held:
        raise RuntimeError("the staged dashboard did not start") from held.get("error")
    stage: Stage = held["stage"]
    try:
        yield stage
    finally:
        stage.loop.call_soon_threadsafe(held["end"].set)
        thread.join(timeout=30)


def at(**ago: float) -> str:
    """A moment that lies so long ago, as Kubernetes writes it."""
    return (datetime.now(UTC) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_task_of(
    number: int,
    *,
    plugin: str = "acme/text_tools",
    version: str = "1.0.0",
    phase: str = "Succeeded",
    minutes_ago: float = 0.0,
    seconds: float = 40.0,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """A task as people see it: of a plugin, ended (or not) so many minutes ago."""
    author, _, short = plugin.partition("/")
    uid = uid_of(number)
    title = name or f"{short.replace('_', '-')}-{version.replace('.', '-')}"
    ends = {"completionTime": at(minutes=minutes_ago)} if phase in {"Succeeded", "Failed", "Cancelled"} else {}
    begun = phase not in {"Pending", "Queued"}
    artifacts = (
        {"artifacts": [an_artifact(uid, author, short, version, minutes_ago=minutes_ago)]}
        if phase == "Succeeded"
        else {}
    )
    return a_task_object(
        name=title,
        uid=uid,
        metadata={"creationTimestamp": at(minutes=minutes_ago, seconds=seconds + 2), "labels": labels or {}},
        spec={
            "source": {
                "type": "Marketplace",
                "marketplace": {"author": author, "name": short, "version": version},
            },
            **(spec or {}),
        },
        status={
            "phase": phase,
            "sequence": 5,
            "attempt": 1 if begun else 0,
            "plugin": {"author": author, "name": short, "version": version},
            **({"startTime": at(minutes=minutes_ago, seconds=seconds)} if begun else {}),
            **ends,
            **artifacts,
            **(status or {}),
        },
    )


def an_artifact(
    uid: str,
    author: str,
    name: str,
    version: str,
    *,
    target: str = "amd64",
    size: int = 12_400_000,
    minutes_ago: float = 1.0,
) -> dict[str, Any]:
    """A finished package as a task's status tells it."""
    wheels = 36
    file = f"{author}-{name}_{version}-linux-{target}-offline.difypkg"
    return {
        "target": target,
        "name": file,
        "uri": f"/api/v1/artifacts/{uid}/{file}",
        "sha256": hashlib.sha256(f"{uid}/{target}".encode()).hexdigest(),
        "sizeBytes": size,
        "wheels": wheels,
        "verification": {
            "method": "NetworkNamespace" if target == "amd64" else "CrossInstall",
            "passed": True,
            "verifiedAt": at(minutes=minutes_ago),
            "message": f"{wheels} packages installed by `uv pip install` on CPython 3.12 without a network; "
            f"{wheels} of {wheels} modules import.",
        },
    }
