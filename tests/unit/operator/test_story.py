from datetime import UTC, datetime

import pytest

from builders import a_task
from repack_contract.phases import Phase
from repack_contract.task import Status
from repack_operator.story import MAX_NOTE, event_of

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def event(phase: Phase, *, message: str = "It is so."):
    return event_of(a_task(name="demo"), Status(phase=phase, reason="Why", message=message, sequence=3), now=NOW)


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.QUEUED, Phase.STARTING, Phase.CANCELLING])
def test_a_step_that_says_little_makes_no_event(phase: Phase):
    assert event(phase) is None


@pytest.mark.parametrize(
    ("phase", "kind"),
    [(Phase.RUNNING, "Normal"), (Phase.RETRYING, "Warning"), (Phase.FAILED, "Warning"), (Phase.SUCCEEDED, "Normal")],
)
def test_failures_are_warnings(phase: Phase, kind: str):
    assert event(phase)["type"] == kind


def test_an_event_belongs_to_its_task_and_a_step_told_twice_is_one_event():
    first, again = event(Phase.FAILED), event(Phase.FAILED)
    assert first["involvedObject"]["uid"] == "uid-1"
    assert first["metadata"]["name"] == again["metadata"]["name"] == "demo.uid-1-3"


def test_a_message_is_cut_to_what_the_api_server_takes():
    assert len(event(Phase.FAILED, message="x" * 4000)["message"]) == MAX_NOTE
