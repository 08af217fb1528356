"""Who may lead, and who may take over: the pure decision, then elections of several replicas in a model of time."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repack_kube.errors import ConflictError, ExistsError, KubeError, NotFoundError, UnavailableError
from repack_kube.resources import Object
from repack_operator.election import Election, Terms
from repack_operator.lease import Follow, LeaseSeen, Renew, Take, next_step, sight


def a_lease(holder: str, *, term: int = 3, seconds: int = 15, version: str = "1") -> Object:
    spec = {"holderIdentity": holder, "leaseTransitions": term, "leaseDurationSeconds": seconds}
    return {"metadata": {"name": "lease", "namespace": "ns", "resourceVersion": version}, "spec": spec}


def seen(holder: str, *, since: float = 100, **parts: Any) -> LeaseSeen:
    return LeaseSeen(a_lease(holder, **parts), since)


@pytest.mark.parametrize(
    ("lease", "term", "step"),
    [
        (None, None, Take(0)),
        (seen("other"), None, Follow(115)),
        (seen("other", since=84), None, Take(4)),
        (seen(""), None, Take(4)),
        (seen("me"), 3, Renew()),
        (seen("me", since=0), 3, Renew()),
        (seen("me"), None, Take(4)),
        (seen("other"), 3, Follow(115)),
        (seen("me", term=4), 3, Take(5)),
    ],
)
def test_what_to_do_follows_from_the_lease(lease: LeaseSeen | None, term: int | None, step: object) -> None:
    assert next_step(lease, "me", 100, term=term) == step


def test_a_deleted_lease_does_not_start_the_count_of_terms_anew() -> None:
    assert next_step(None, "me", 100, term=None, last_term=7) == Take(8)


def test_the_age_of_a_lease_is_that_of_its_version() -> None:
    first = sight(None, a_lease("other"), 10)
    assert sight(first, a_lease("other"), 20).since == 10
    assert sight(first, a_lease("other", version="2"), 20).since == 20


class OneLease:
    """An API server that keeps one Lease, and can be away."""

    def __init__(self) -> None:
        self.body: Object | None = None
        self.version = 0
        self.away: set[str] = set()
        self.terms: list[int] = []

    def client(self, who: str) -> Any:
        return _Client(self, who)


class _Client:
    def __init__(self, server: OneLease, who: str) -> None:
        self._server, self._who = server, who

    async def get(self, resource: Any, name: str, *, namespace: str) -> Object:
        self._check()
        if self._server.body is None:
            raise NotFoundError("no lease")
        return self._server.body

    async def create(self, resource: Any, body: Object) -> Object:
        self._check()
        if self._server.body is not None:
            raise ExistsError("there is one")
        return self._keep(body)

    async def replace(self, resource: Any, body: Object) -> Object:
        self._check()
        if self._server.body is None:
            raise NotFoundError("no lease")
        if body["metadata"]["resourceVersion"] != self._server.body["metadata"]["resourceVersion"]:
            raise ConflictError("it changed")
        return self._keep(body)

    def _check(self) -> None:
        if self._who in self._server.away:
            raise UnavailableError("no answer")

    def _keep(self, body: Object) -> Object:
        self._server.version += 1
        metadata = body["metadata"] | {"resourceVersion": str(self._server.version)}
        self._server.body = body | {"metadata": metadata}
        self._server.terms.append(body["spec"]["leaseTransitions"])
        return self._server.body


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def an_election(server: OneLease, who: str, clock: Clock) -> Election:
    return Election(server.client(who), Terms("ns", "lease", who), clock=clock)


async def turn(election: Election) -> None:
    """One turn of the loop, without its sleep."""
    try:
        await election._try()
    except KubeError:
        return


async def test_a_second_replica_takes_over_when_the_first_one_was_silent_for_the_whole_lease() -> None:
    server, clock = OneLease(), Clock()
    first, second = an_election(server, "a", clock), an_election(server, "b", clock)
    await turn(first)
    await turn(second)
    assert (first.leads, second.leads) == (True, False)

    for _ in range(9):
        clock.now += 2  # the first one is frozen
        await turn(second)
        assert not (first.leads and second.leads)

    assert (first.leads, second.leads) == (False, True)
    assert server.body is not None
    assert server.body["spec"]["leaseTransitions"] == 1


async def test_a_released_lease_is_taken_at_once() -> None:
    server, clock = OneLease(), Clock()
    first, second = an_election(server, "a", clock), an_election(server, "b", clock)
    await turn(first)
    await turn(second)
    await first.release()
    assert not first.leads

    await turn(second)

    assert second.leads


async def test_a_renewal_whose_answer_was_not_waited_for_does_not_keep_the_lease_from_being_released() -> None:
    server, clock = OneLease(), Clock()
    first = an_election(server, "a", clock)
    await turn(first)
    assert server.body is not None
    server.client("a")._keep(server.body)

    await first.release()

    assert server.body["spec"]["holderIdentity"] == ""


async def test_a_lease_that_somebody_else_took_is_not_released() -> None:
    server, clock = OneLease(), Clock()
    first, second = an_election(server, "a", clock), an_election(server, "b", clock)
    await turn(first)
    await turn(second)
    clock.now += 16
    await turn(second)

    await first.release()

    assert second.leads
    assert server.body is not None
    assert server.body["spec"]["holderIdentity"] == "b"


async def test_a_leader_that_cannot_renew_stops_before_anybody_else_may_lead() -> None:
    server, clock = OneLease(), Clock()
    first = an_election(server, "a", clock)
    await turn(first)
    server.away.add("a")
    clock.now += 9.9
    await turn(first)
    assert first.leads
    clock.now += 0.2

    assert not first.leads
    await asyncio.wait_for(first.reign(), timeout=5)  # returns at once: there is nothing left to defend


async def test_somebody_elses_change_to_our_lease_does_not_cost_the_leadership() -> None:
    server, clock = OneLease(), Clock()
    first = an_election(server, "a", clock)
    await turn(first)
    assert server.body is not None
    server.body = server.body | {"metadata": server.body["metadata"] | {"resourceVersion": "99"}}

    await turn(first)
    assert first.leads
    clock.now += 9
    await turn(first)
    clock.now += 9

    assert first.leads


WHAT = st.sampled_from(["turn"] * 8 + ["cut", "mend", "release"])
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 1.0, 2.0, 6.0]), WHAT), min_size=20, max_size=120
)


@given(steps=STEPS)
@pytest.mark.fault(11, "replicas freeze and lose the line in any order")
def test_there_is_never_more_than_one_leader_and_terms_only_grow(steps: list[tuple[str, float, str]]) -> None:
    """Replicas work, freeze (get no turn), lose the network and come back, in any order."""
    asyncio.run(_elect(steps))


async def _elect(steps: list[tuple[str, float, str]]) -> None:
    server, clock = OneLease(), Clock()
    replicas = {who: an_election(server, who, clock) for who in "abc"}
    led: dict[int, str] = {}
    for who, seconds, what in steps:
        clock.now += seconds
        if what == "turn":
            await turn(replicas[who])
        elif what == "release" and replicas[who].leads:
            await replicas[who].release()
        elif what in {"cut", "mend"}:
            (server.away.add if what == "cut" else server.away.discard)(who)
        leaders = [name for name, replica in replicas.items() if replica.leads]
        assert len(leaders) <= 1
        for name in leaders:
            term = replicas[name]._term
            assert term is not None
            assert led.setdefault(term, name) == name, "two leaders of one term"
    assert server.terms == sorted(server.terms)
