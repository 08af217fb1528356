"""Who leads: what one replica is to do about the Lease. Pure.

A Lease names its holder. The holder renews it; who sees it unchanged for its whole duration, by a clock of its own,
may take it. No clocks are compared between machines: `renewTime` is for people (so does Kubernetes' own election,
client-go's `leaderelection`). Every term of leadership has a number that only grows, `leaseTransitions`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

Object = dict[str, Any]
"""As the API server writes it. Not taken from `repack_kube`: what decides knows no cluster."""


@dataclass(frozen=True)
class LeaseSeen:
    """A Lease as it was last read."""

    body: Object
    since: float
    """Seconds of our own clock at which this version was first seen."""

    @property
    def holder(self) -> str:
        """Who leads; empty when nobody does."""
        return str(self._spec.get("holderIdentity") or "")

    @property
    def term(self) -> int:
        """Number of the term."""
        return int(self._spec.get("leaseTransitions") or 0)

    @property
    def expires_at(self) -> float:
        """When it may be taken if nothing changes."""
        return self.since + float(self._spec.get("leaseDurationSeconds") or 0)

    @property
    def _spec(self) -> Object:
        spec: Object = self.body.get("spec") or {}
        return spec


@dataclass(frozen=True)
class Take:
    """Try to become the holder, in a new term."""

    term: int


@dataclass(frozen=True)
class Renew:
    """Renew what we hold."""


@dataclass(frozen=True)
class Follow:
    """Somebody else leads; the Lease is worth another look at the given moment, or when it changes."""

    until: float


Step = Take | Renew | Follow


def sight(known: LeaseSeen | None, body: Object, now: float) -> LeaseSeen:
    """Return what is known after reading the Lease: a version that was seen before keeps its age."""
    if known is not None and _version(known.body) == _version(body):
        return replace(known, body=body)
    return LeaseSeen(body, now)


def next_step(lease: LeaseSeen | None, me: str, now: float, *, term: int | None, last_term: int = -1) -> Step:
    """Say what to do.

    Args:
        lease: the Lease; None when there is none.
        me: our identity, which no other process has.
        now: seconds of the clock that `lease.since` was read from.
        term: the term in which we lead; None of a follower.
        last_term: the highest term that was ever seen, so that a deleted Lease does not start the count anew.
    """
    if lease is None:
        return Take(last_term + 1)
    if lease.holder == me and lease.term == term:
        return Renew()
    if lease.holder in {"", me} or now >= lease.expires_at:
        return Take(max(lease.term, last_term) + 1)
    return Follow(lease.expires_at)


def held(body: Object | None, me: str, *, term: int, seconds: int, now: datetime) -> Object:
    """Return the spec of a Lease that we hold: taken now, or renewed where `body` is ours already."""
    old = (body or {}).get("spec") or {}
    is_ours = old.get("holderIdentity") == me and old.get("leaseTransitions") == term
    return {
        "holderIdentity": me,
        "leaseDurationSeconds": seconds,
        "acquireTime": old.get("acquireTime") if is_ours else _micro_time(now),
        "renewTime": _micro_time(now),
        "leaseTransitions": term,
    }


def released(body: Object, *, now: datetime) -> Object:
    """Return the spec of a Lease that nobody holds; its term stays, for the next one to count on."""
    spec = body.get("spec") or {}
    return spec | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time(now)}


def _version(body: Object) -> str:
    return str((body.get("metadata") or {}).get("resourceVersion", ""))


def _micro_time(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
