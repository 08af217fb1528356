"""The operator is Unknown, then Healthy, and Stale after three missed heartbeats."""

from datetime import UTC, datetime

from repack_contract.events import Heartbeat
from repack_dashboard.operator_health import OperatorWatch

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_heartbeat(queue: int = 0) -> Heartbeat:
    return Heartbeat(leader=True, queue_depth=queue, running=1, slots=4, watch_age_seconds=0.1, ts=NOW)


def test_silence_makes_it_stale_once_and_a_heartbeat_mends_it() -> None:
    clock = Clock()
    watch = OperatorWatch(clock=clock)
    assert (watch.health.state, watch.check()) == ("Unknown", False)
    assert watch.heard(a_heartbeat(), instance="a", epoch=1, at=NOW)
    clock.now = 15.0
    assert not watch.check()
    clock.now = 15.1
    assert watch.check()
    assert not watch.check()
    assert (watch.health.state, watch.health.last_heard_at) == ("Stale", NOW)
    assert watch.heard(a_heartbeat(), instance="a", epoch=1, at=NOW)
    assert watch.health.state == "Healthy"


def test_only_what_changed_is_worth_telling() -> None:
    watch = OperatorWatch(clock=Clock())
    watch.heard(a_heartbeat(), instance="a", epoch=1, at=NOW)
    assert not watch.heard(a_heartbeat(), instance="a", epoch=1, at=datetime(2026, 11, 23, 7, tzinfo=UTC))
    assert watch.heard(a_heartbeat(queue=2), instance="a", epoch=1, at=NOW)


def test_what_the_operator_says_of_its_own_trouble_is_known_but_not_told_each_time() -> None:
    watch = OperatorWatch(clock=Clock())
    watch.heard(a_heartbeat(), instance="a", epoch=1, at=NOW)
    troubled = a_heartbeat().model_copy(update={"api_errors": 3, "lag_seconds": 1.5})
    assert not watch.heard(troubled, instance="a", epoch=1, at=NOW)
    assert (watch.health.api_errors, watch.health.lag_seconds) == (3, 1.5)


def test_a_leader_who_was_replaced_is_not_listened_to_unless_the_new_one_is_silent() -> None:
    clock = Clock()
    watch = OperatorWatch(clock=clock)
    watch.heard(a_heartbeat(), instance="new", epoch=2, at=NOW)
    assert not watch.heard(a_heartbeat(queue=9), instance="old", epoch=1, at=NOW)
    assert watch.health.instance == "new"
    clock.now = 60.0
    assert watch.heard(a_heartbeat(), instance="old", epoch=1, at=NOW)
