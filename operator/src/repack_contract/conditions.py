"""The conditions of a task: their types, one sentence each, and how a list of them is changed."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from repack_contract.task import Condition


class ConditionType(StrEnum):
    """What `kubectl wait --for=condition=…` can wait for."""

    ADMITTED = "Admitted"
    """The task has, or had, a slot. While False its message is the position in the queue and why."""
    SUCCEEDED = "Succeeded"
    """Unknown while the task goes on, then True or False."""
    COMPLETE = "Complete"
    """True once the task is Succeeded, as on a Job."""
    FAILED = "Failed"
    """True once the task is Failed or Cancelled, as on a Job."""
    RECONCILING = "Reconciling"
    """True while the task goes on (kstatus); absent otherwise."""
    STALLED = "Stalled"
    """True when the user must act (kstatus); absent otherwise."""
    ARTIFACT_READY = "ArtifactReady"
    """True when every target has an artifact whose offline install was verified; never in a dry run."""


def merge_conditions(old: Iterable[Condition], new: Iterable[Condition], *, now: datetime) -> list[Condition]:
    """Return `new`, keeping the transition time of each condition whose status did not change."""
    before = {condition.type: condition for condition in old}
    merged = []
    for condition in new:
        previous = before.get(condition.type)
        unchanged = previous is not None and previous.status == condition.status
        since = previous.last_transition_time if previous and unchanged else now
        merged.append(condition.model_copy(update={"last_transition_time": since}))
    return merged
