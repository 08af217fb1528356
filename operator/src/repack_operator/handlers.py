"""kopf's part: it watches tasks, Jobs and Pods and tells what it saw. Nothing else is left to it.

No finalizers, no annotations, no timers, no daemons, no retries: `on.event` handlers note and return (operator.md 3).
kopf runs in a thread with an event loop of its own, because at its end it cancels every asyncio task that was created
after its start, ours included, and because it takes over the process's signal handlers.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from repack_contract.naming import GROUP, LABEL_TASK, PLURAL, VERSION
from repack_kube.access import Access
from repack_kube.resources import JOBS, PODS, TASKS, Object, Resource

Sink = Callable[[Resource, str | None, Object], None]
"""Told of every event: kind, type (None: listed again) and object. Called in kopf's thread."""

_OUTAGE_BACKOFFS = (0.2, 0.5, 1.0, 2.0, 3.0, *([5.0] * 10_000))
"""Waits while the API server is away; kopf's own grow so far that a 40 s outage costs 10 s more (operator.md 3.3)."""
_KOPF_LOG_LEVELS = {
    "kopf.objects": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,  # warns at each start that a thread gets no signals, as is meant
}
_GOODBYE_SECONDS = 0.1
"""Time for TLS connections to be closed on both sides before their event loop ends."""
_SERVED = ((TASKS, (GROUP, VERSION, PLURAL)), (JOBS, ("batch", "v1", "jobs")), (PODS, ("", "v1", "pods")))


def make_registry(access: Access, sink: Sink) -> kopf.OperatorRegistry:
    """Return the handlers."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)  # type: ignore[untyped-decorator]
    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await access.credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            token=found.token,
            ca_path=found.ca_path,
            certificate_path=found.certificate_path,
            private_key_path=found.key_path,
            insecure=found.insecure,
            trust_env=not access.is_loopback,
        )

    @kopf.on.startup(registry=registry)  # type: ignore[untyped-decorator]
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)

    for resource, selector in _SERVED:
        _watch(registry, resource, selector, sink)
    return registry


def _watch(registry: kopf.OperatorRegistry, resource: Resource, selector: tuple[str, str, str], sink: Sink) -> None:
    @kopf.on.event(*selector, registry=registry, id=f"see-{resource.plural}")  # type: ignore[untyped-decorator]
    async def see(event: Any, **_: Any) -> None:
        sink(resource, event["type"], dict(event["object"]))


def configure(settings: kopf.OperatorSettings) -> None:
    """Switch off what we do ourselves and bound what is left."""
    settings.scanning.disabled = True  # no rights on CRDs and namespaces needed
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.networking.error_backoffs = _OUTAGE_BACKOFFS
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.inactivity_timeout = 75
    settings.watching.chunk_size = 100  # each object of a chunk gets a worker and a queue at once
    settings.queueing.idle_timeout = 0.2  # a worker that waits keeps its last object in memory
    for kind in ("jobs.v1.batch", "pods.v1"):
        settings.watching.label_selectors[kind] = LABEL_TASK


def run_watches(
    registry: kopf.OperatorRegistry, *, namespaces: Sequence[str], stop: threading.Event, ready: threading.Event
) -> None:
    """Run kopf in the calling thread until `stop` is set, or until it fails (a fatal error of a watch).

    Raises:
        Exception: whatever ended kopf.
    """
    for name, level in _KOPF_LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    asyncio.run(_operator(registry, namespaces=namespaces, stop=stop, ready=ready))


async def _operator(
    registry: kopf.OperatorRegistry, *, namespaces: Sequence[str], stop: threading.Event, ready: threading.Event
) -> None:
    try:
        await kopf.operator(
            registry=registry,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
            stop_flag=stop,
            ready_flag=ready,
        )
    finally:
        await asyncio.sleep(_GOODBYE_SECONDS)
