from datetime import timedelta

from builders import a_task, a_task_object
from repack_contract.task import Status
from repack_kube.resources import TASKS
from repack_operator.forecast import Forecast, kind_of
from repack_operator.observed import Observed
from repack_operator.queueing import Limits
from repack_operator.slots import Slots
from situation_builder import START

UNIVERSAL = {"targets": [{"arch": "universal"}]}


def took(seconds: float) -> Status:
    return Status(start_time=START, completion_time=START + timedelta(seconds=seconds))


def a_forecast(*waiting: dict) -> Forecast:
    observed = Observed()
    slots = Slots(observed, Limits(total=2), clock=lambda: 0.0, now=lambda: START)
    for number, spec in enumerate(waiting):
        metadata = {"creationTimestamp": f"2026-11-23T05:00:0{number}Z"}
        body = a_task_object(name=f"t{number}", uid=f"u{number}", spec=spec, metadata=metadata)
        observed.see(TASKS, body)
        slots.wait(("default", f"t{number}"), a_task(name=f"t{number}", uid=f"u{number}", spec=spec, metadata=metadata))
    return Forecast(observed, slots)


def test_places_are_told_in_order_and_without_estimates_while_nothing_is_known() -> None:
    places = a_forecast({}, {}, {}).places()

    assert [(place.uid, place.position) for place in places] == [("u0", 1), ("u1", 2), ("u2", 3)]
    assert {(place.starts_in_seconds, place.lasts_seconds) for place in places} == {(None, None)}


def test_how_long_the_like_took_says_when_a_task_will_start_and_how_long_it_takes() -> None:
    forecast = a_forecast({}, {}, UNIVERSAL, {"targets": [{"arch": "arm64"}]})
    forecast.note(a_task(), took(60))
    forecast.note(a_task(spec=UNIVERSAL), took(160))

    places = forecast.places()

    assert [place.starts_in_seconds for place in places] == [45, 90, 135, 180]  # 90 s each, two at a time
    assert [place.lasts_seconds for place in places] == [60, 60, 160, 90]


def test_a_newer_duration_counts_more_than_an_older_one() -> None:
    forecast = a_forecast({})
    for seconds in (100, 100, 10, 10, 10, 10, 10, 10):
        forecast.note(a_task(), took(seconds))

    (place,) = forecast.places()
    assert place.lasts_seconds is not None
    assert 10 < place.lasts_seconds < 25


def test_the_order_of_targets_makes_no_difference() -> None:
    one = {"source": {"type": "URL"}, "targets": [{"arch": "arm64"}, {"arch": "amd64"}]}
    assert kind_of(one) == ("URL", "amd64", "arm64")
    assert kind_of({}) == ("",)
