"""The 17 faults that the design names (operator.md 6.8), and what must hold in each. Tests say `@pytest.mark.fault`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What happens, and what must hold all the same."""

    what: str
    invariant: str


FAULTS: dict[int, Fault] = {
    1: Fault("The operator is killed at any call", "Exactly one Job per attempt; the task ends."),
    2: Fault(
        "The API server is away, slow or answers with errors",
        "Work goes on by itself; the process does not end; not ready meanwhile.",
    ),
    3: Fault("Objects vanish while the watch is away (410)", "No ghost after a comparison; its slot is free."),
    4: Fault("The dashboard is away, restarted or slow", "Reconciling does not wait; afterwards the page shows etcd."),
    5: Fault(
        "Deliveries come twice, late, in the wrong order", "The state is that of the highest number; no way back."
    ),
    6: Fault(
        "A Job or a Pod is deleted by hand", "One retry with its reason; what was published is kept; no double run."
    ),
    7: Fault("A Pod is evicted, preempted or drained", "It is no failure of the user, and is tried again."),
    8: Fault("A worker is killed for want of memory", "Reason OOMKilled; more memory once."),
    9: Fault("A Pod never starts", "Failed at the pending deadline with the reason; its slot is free."),
    10: Fault("A node is lost", "Tried again, and only when the old Pod counts as dead."),
    11: Fault("Two leaders: one was frozen or cut off", "The old one writes nothing; no second Job; 20 s at the most."),
    12: Fault("Jobs are refused: quota, rights, a webhook", "Queued with the reason; backs off; goes on by itself."),
    13: Fault(
        "A burst of 1,000 tasks of ten namespaces", "Limits are kept; Jain's index ≥ 0.95; calls per task ≤ 4.2."
    ),
    14: Fault("Cancel, suspend and delete race with the end", "The first end stands; nothing is left running."),
    15: Fault("The task, its namespace or the operator goes", "Everything goes along; nothing is held up."),
    16: Fault("The operator lacks a right", "It is named, in the log and by /readyz; no crash loop."),
    17: Fault("Objects of another release's CRD", "Old tasks still come to an end."),
}
