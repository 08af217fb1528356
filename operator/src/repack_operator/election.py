"""Takes part in the election of a leader: reads the Lease, does what `lease.next_step` says, and tells who may write.

Whoever leads may write only until `renew_seconds` after the start of the last renewal that the API server confirmed,
by a clock that goes on while the process is stopped. The others wait for the longer `lease_seconds` before they take
over, so that a leader that was frozen, or cut off, has stopped writing before there is a next one.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from repack_kube.client import Cluster
from repack_kube.errors import ConflictError, KubeError, NotFoundError
from repack_kube.resources import LEASES, Object
from repack_operator.lease import Follow, LeaseSeen, Take, held, next_step, released, sight

log = structlog.get_logger()


def waking_clock() -> float:
    """Return seconds that only grow, also while the process is stopped or the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Terms:
    """Which Lease, who we are, and how long things take, in seconds."""

    namespace: str
    name: str
    identity: str
    """Ours alone: no other process, not even our successor in the same Pod, has it."""
    lease_seconds: int = 15
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0


class Election:
    """One replica's part in the election. `campaign`, then `reign`, then perhaps `campaign` again."""

    def __init__(
        self,
        cluster: Cluster,
        terms: Terms,
        *,
        heard: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = waking_clock,
    ) -> None:
        self._cluster = cluster
        self._terms = terms
        self._heard = heard
        self._clock = clock
        self._lease: LeaseSeen | None = None
        self._term: int | None = None
        self._last_term = -1
        self._until = float("-inf")
        self.terms_led = 0
        """How often this process became the leader."""

    @property
    def leads(self) -> bool:
        """Tell whether we may write now."""
        return self._term is not None and self._clock() < self._until

    async def campaign(self) -> int:
        """Wait until we lead, for ever if need be; return the term."""
        terms = self._terms
        while True:  # ends with the first term of ours
            try:
                term = await self._try()
            except KubeError as error:
                log.warning("the lease cannot be had yet", lease=terms.name, error=error.message)
                term = None
            if term is not None:
                log.info("this replica leads", identity=terms.identity, term=term)
                self.terms_led += 1
                return term
            await asyncio.sleep(terms.retry_seconds * random.uniform(0.8, 1.2))  # noqa: S311

    async def reign(self) -> None:
        """Renew until the leadership is lost, then return. What is written from then on is refused."""
        while self.leads:
            await asyncio.sleep(min(self._terms.retry_seconds, max(self._until - self._clock(), 0)))
            left = self._until - self._clock()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    if await self._try() is None:
                        break
            except (KubeError, TimeoutError) as error:
                log.warning("the lease was not renewed", seconds_left=round(left, 1), error=str(error))
        log.error("this replica leads no more", identity=self._terms.identity, term=self._term)
        self._term = None

    async def release(self) -> None:
        """Give the leadership up, so that another replica need not wait; at the end of the process, at rest."""
        term, self._term = self._term, None
        try:
            if term is not None and await self._give_up(term):
                log.info("the leadership was given up", identity=self._terms.identity, term=term)
        except KubeError as error:
            log.warning("the lease could not be released; it expires by itself", error=error.message)

    async def _give_up(self, term: int) -> bool:
        for _ in range(2):
            if self._lease is None or (self._lease.holder, self._lease.term) != (self._terms.identity, term):
                return False
            try:
                await self._store(released(self._lease.body, now=datetime.now(UTC)))
                return True
            except ConflictError:
                await self._read()  # a renewal was on its way when we stopped waiting for its answer
        return False

    async def _try(self) -> int | None:
        """Take or renew the lease if that is what to do; return the term, None of a follower."""
        # A lease that we hold is renewed without being read: if somebody took it, the version tells.
        if self._term is None:
            await self._read()
        now = self._clock()
        step = next_step(self._lease, self._terms.identity, now, term=self._term, last_term=self._last_term)
        if isinstance(step, Follow):
            return None
        term = step.term if isinstance(step, Take) else self._term
        assert term is not None  # noqa: S101 - only who leads renews
        body = self._lease.body if self._lease else None
        spec = held(body, self._terms.identity, term=term, seconds=self._terms.lease_seconds, now=datetime.now(UTC))
        try:
            await self._store(spec)
        except (ConflictError, NotFoundError):
            await self._read()
            return term if self._is_ours(term) else None
        self._term, self._until = term, now + self._terms.renew_seconds
        return term

    def _is_ours(self, term: int) -> bool:
        """Tell whether the lease is ours although a write of it was refused: somebody annotated it, say."""
        lease = self._lease
        return self._term == term and lease is not None and (lease.holder, lease.term) == (self._terms.identity, term)

    async def _read(self) -> None:
        terms = self._terms
        try:
            self._note(await self._cluster.get(LEASES, terms.name, namespace=terms.namespace))
        except NotFoundError:
            self._lease = None
        self._heard()

    async def _store(self, spec: Object) -> None:
        metadata: Object = {"name": self._terms.name, "namespace": self._terms.namespace}
        body: Object = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        if self._lease is None:
            stored = await self._cluster.create(LEASES, body)
        else:
            stored = await self._cluster.replace(LEASES, self._lease.body | {"spec": spec})
        self._note(stored)
        self._heard()

    def _note(self, body: Object) -> None:
        self._lease = sight(self._lease, body, self._clock())
        self._last_term = max(self._last_term, self._lease.term)
