"""What the operator must be allowed to do, and whether it is: asked before it begins, and again when it is refused.

kopf would try a refused watch again for nearly a minute, and say little. A right that is missing is named at once, in
the log and by /readyz, and the operator waits for it without a crash loop.
"""

import asyncio
from collections.abc import Sequence

import structlog

from repack_kube.client import Cluster
from repack_kube.errors import KubeError
from repack_kube.resources import EVENTS, JOBS, PODS, TASKS
from repack_kube.reviews import Right, review_own_right
from repack_operator.health import Health
from repack_operator.settings import Settings

log = structlog.get_logger()

NEEDED: tuple[Right, ...] = (
    *(Right(verb, TASKS) for verb in ("get", "list", "watch", "delete")),
    Right("patch", TASKS, "status"),
    *(Right(verb, JOBS) for verb in ("get", "list", "watch", "create", "delete")),
    *(Right(verb, PODS) for verb in ("list", "watch")),
)
"""In every namespace that is served. The Lease is apart: without it there is no leader who could ask."""
TELLING = Right("create", EVENTS)
_AGAIN_SECONDS = 10.0
_RARELY_SECONDS = 600.0


class Rights:
    """Keeps `health` informed of the rights that are missing."""

    def __init__(self, cluster: Cluster, settings: Settings, health: Health) -> None:
        self._cluster = cluster
        self._health = health
        self._namespaces: Sequence[str | None] = settings.namespaces or (None,)
        self._needed = (*NEEDED, TELLING) if settings.kubernetes_events else NEEDED
        self._refused = asyncio.Event()

    def refused(self) -> None:
        """The API server said that we may not do something: ask what is missing."""
        self._refused.set()

    async def complete(self) -> None:
        """Wait until nothing is missing; meanwhile the operator is not ready, and says why."""
        await self._check()
        while self._health.missing:
            await asyncio.sleep(_AGAIN_SECONDS)
            await self._check()

    async def watch_over(self) -> None:
        """Ask again when something was refused, and now and then; for ever."""
        while True:  # ends by cancellation
            try:
                async with asyncio.timeout(_AGAIN_SECONDS if self._health.missing else _RARELY_SECONDS):
                    await self._refused.wait()
                await asyncio.sleep(1)  # what was refused once is refused often: ask once for all of it
                self._refused.clear()
            except TimeoutError:
                pass  # it is time anyway
            await self._check()

    async def _check(self) -> None:
        before = self._health.missing
        try:
            self._health.missing = tuple(await self._missing())
        except KubeError as error:
            # Whoever cannot be asked now, or knows no such question, will be heard when it refuses.
            log.debug("rights cannot be asked for", error=error.message)
            return
        if self._health.missing and self._health.missing != before:
            hint = "Give them to the operator's service account; the chart's Role or ClusterRole lists them all."
            log.error("the operator lacks rights", missing=self._health.missing, hint=hint)
        elif before and not self._health.missing:
            log.info("the operator has the rights that it lacked")

    async def _missing(self) -> list[str]:
        return [
            f"{right} in {f'namespace {namespace}' if namespace else 'all namespaces'}"
            for namespace in self._namespaces
            for right in self._needed
            if not await review_own_right(self._cluster, right, namespace=namespace)
        ]
