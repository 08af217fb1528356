"""Every phase is reachable by deciding, and by what."""

import pytest

from builders import a_task
from repack_contract.phases import Phase
from repack_operator.situation import Slot
from situation_builder import (
    a_complete_job,
    a_failed_job,
    a_failure,
    a_job,
    a_running_pod,
    a_running_task,
    a_success,
    decided,
)

SUSPENDED = {"desiredState": "Suspended"}
CANCELLED = {"desiredState": "Cancelled"}
WAYS = {
    Phase.PENDING: (a_task(), {"pods": [a_running_pod(attempt=0)]}),
    Phase.QUEUED: (a_task(), {"slot": Slot(free=False, position=1, why="all 2 slots are in use")}),
    Phase.STARTING: (a_task(), {"jobs": [a_job()]}),
    Phase.RUNNING: (a_task(), {"jobs": [a_job()], "pods": [a_running_pod()]}),
    Phase.RETRYING: (a_running_task(), {"jobs": [a_failed_job()], "pods": [a_failure(20, "IndexUnreachable")]}),
    Phase.SUSPENDED: (a_task(spec=SUSPENDED), {}),
    Phase.CANCELLING: (a_running_task(spec=CANCELLED), {"jobs": [a_job()]}),
    Phase.SUCCEEDED: (a_running_task(), {"jobs": [a_complete_job()], "pods": [a_success()]}),
    Phase.FAILED: (a_running_task(), {"jobs": [a_failed_job()], "pods": [a_failure(12, "InvalidPackage")]}),
    Phase.CANCELLED: (a_task(spec=CANCELLED), {}),
}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_can_be_reached(phase: Phase) -> None:
    task, seen = WAYS[phase]

    decision = decided(task, **seen)

    assert decision.status is not None
    assert decision.status.phase is phase
