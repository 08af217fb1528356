"""What the dashboard's service account must be allowed to do, and whether it is.

Asked at the start, when something was refused, and now and then. What it cannot do its work without keeps it from being
ready: a rollout stops before the old one is gone. What only some requests need is said in the log, in /readyz and to
whoever makes such a request.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog

from repack_dashboard.settings import AuthMode, IngestAuth, Settings
from repack_kube.errors import KubeError
from repack_kube.resources import EVENTS, PODS, TASKS
from repack_kube.reviews import ACCESS_REVIEWS, TOKEN_REVIEWS, Creates, Right, review_own_right

log = structlog.get_logger("repack.dashboard")

_AGAIN_SECONDS = 10.0
_RARELY_SECONDS = 600.0


@dataclass(frozen=True)
class Need:
    """A right, and whether anything works without it."""

    right: Right
    is_vital: bool
    everywhere: bool = False
    """Of a kind that has no namespace."""


def needs(settings: Settings) -> list[Need]:
    """Return the rights that these settings need; the chart's roles give exactly them."""
    found = [
        Need(Right("list", TASKS), is_vital=True),
        *(Need(Right(verb, TASKS), is_vital=False) for verb in ("create", "patch", "delete")),
        Need(Right("list", PODS), is_vital=False),
        Need(Right("list", EVENTS), is_vital=False),
    ]
    by_cluster = settings.auth_mode is AuthMode.KUBERNETES
    if settings.ingest_auth is IngestAuth.KUBERNETES:
        # Without, no worker can hand in its package and the operator is not heard.
        found.append(Need(Right("get", PODS), is_vital=True))
    if settings.ingest_auth is IngestAuth.KUBERNETES or by_cluster:
        found.append(Need(Right("create", TOKEN_REVIEWS), is_vital=True, everywhere=True))
    if by_cluster:
        found.append(Need(Right("create", ACCESS_REVIEWS), is_vital=True, everywhere=True))
    return found


class Rights:
    """Knows what is missing. `run` keeps it up to date."""

    def __init__(self, api: Creates, settings: Settings) -> None:
        self._api = api
        self._needs = needs(settings)
        self._namespaces: Sequence[str | None] = settings.watch_namespaces or (None,)
        self._refused = asyncio.Event()
        self.missing: tuple[tuple[Need, str], ...] = ()
        """Needs that are not met, each with its sentence."""

    @property
    def is_vital_missing(self) -> bool:
        """Tell whether the dashboard cannot do its work."""
        return any(need.is_vital for need, _ in self.missing)

    @property
    def sentences(self) -> list[str]:
        """What is missing, in words."""
        return [sentence for _, sentence in self.missing]

    def refused(self) -> None:
        """The API server said that we may not do something: ask what is missing."""
        self._refused.set()

    async def run(self) -> None:
        """Ask now, and again; for ever."""
        while True:  # ends with the process, by cancellation
            await self.check()
            try:
                async with asyncio.timeout(_AGAIN_SECONDS if self.missing else _RARELY_SECONDS):
                    await self._refused.wait()
                await asyncio.sleep(1)  # what was refused once is refused often: ask once for all of it
            except TimeoutError:
                pass  # it is time anyway
            self._refused.clear()

    async def check(self) -> None:
        """Ask the API server for each right."""
        before = self.missing
        try:
            self.missing = tuple([pair async for pair in self._missing()])
        except KubeError as error:
            # Whoever cannot be asked now, or knows no such question, will be heard when it refuses.
            log.debug("rights cannot be asked for", error=error.message)
            return
        if self.missing and self.missing != before:
            hint = "Give them to the dashboard's service account; the chart's Role or ClusterRole lists them all."
            log.error("the dashboard lacks rights", missing=self.sentences, hint=hint)
        elif before and not self.missing:
            log.info("the dashboard has the rights that it lacked")

    async def _missing(self) -> AsyncIterator[tuple[Need, str]]:
        for need in self._needs:
            for namespace in (None,) if need.everywhere else self._namespaces:
                if not await review_own_right(self._api, need.right, namespace=namespace):
                    place = f"namespace {namespace}" if namespace else "all namespaces"
                    where = "" if need.everywhere else f" in {place}"
                    yield need, f"the dashboard may not {need.right}{where}"
