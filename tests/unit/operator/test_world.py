"""Several tasks, two namespaces, few slots, and everything that can happen to them in any order.

The real reconciler runs in `model_world`. It crashes between any two calls and is followed by another one, while the
old one may wake up again; what it is told comes late, twice, in the wrong order or not at all; users cancel, suspend,
resume and delete; workers succeed and fail; Jobs vanish.
"""

import contextlib
import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fakes.job_controller import a_result
from model_world import Crash, Operator, World, ended, finished, key_of
from repack_contract.naming import LABEL_TASK_UID
from repack_contract.phases import Phase
from repack_kube.resources import JOBS, TASKS, Object
from repack_operator.settings import Settings

NAMESPACES = ("team-a", "team-b")
ENDS: list[dict[str, Any]] = [
    {"code": 0, "result": a_result("amd64")},
    {"code": 0, "result": None},
    {"code": 20, "result": {"ok": False, "reason": "IndexUnreachable", "message": "no answer"}},
    {"code": 12, "result": {"ok": False, "reason": "InvalidPackage", "message": "no manifest"}},
    {"code": 137, "result": None, "reason": "OOMKilled"},
]


@pytest.fixture(autouse=True, scope="module")
def _thousands_of_log_lines_are_not_written() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


class Cluster(RuleBasedStateMachine):
    @initialize(total=st.integers(1, 3), share=st.sampled_from([None, 1]))
    def begin(self, total: int, share: int | None) -> None:
        self.world = World()
        self.settings = Settings(max_concurrent=total, max_per_namespace=share, kubernetes_events=False)
        self.operator = Operator(self.world, self.settings)
        self.replaced: list[Operator] = []
        self.phases: dict[str, Phase] = {}
        self.number = 0
        for namespace in NAMESPACES:
            self.user_creates(namespace, 0, 2)

    # --- users ---

    @precondition(lambda self: self.number < 8)
    @rule(namespace=st.sampled_from(NAMESPACES), priority=st.integers(-1, 1), limit=st.integers(0, 2))
    def user_creates(self, namespace: str, priority: int, limit: int) -> None:
        self.number += 1
        retry = {"limit": limit, "backoffSeconds": 5, "maxBackoffSeconds": 20}
        self.world.create_task(f"t{self.number}", namespace, priority=priority, retry=retry, pendingDeadlineSeconds=60)

    @precondition(lambda self: self.world.tasks())
    @rule(pick=st.randoms(use_true_random=False), wish=st.sampled_from(["Suspended", "Active", "Active", "Cancelled"]))
    def user_wishes(self, pick: random.Random, wish: str) -> None:
        task = pick.choice(self.world.tasks())
        if task["spec"].get("desiredState") != "Cancelled":
            self.world.wish(key_of(task), wish)

    @precondition(lambda self: self.world.tasks())
    @rule(pick=st.randoms(use_true_random=False))
    def user_deletes(self, pick: random.Random) -> None:
        self.world.remove(TASKS, key_of(pick.choice(self.world.tasks())))

    # --- what is told ---

    @rule(pick=st.randoms(use_true_random=False), most=st.integers(1, 12))
    def some_is_told_in_any_order(self, pick: random.Random, most: int) -> None:
        told = pick.sample(self.world.untold, min(most, len(self.world.untold)))
        self.operator.hear(told + told[: most // 3])
        if pick.random() < 0.5:  # the rest of the time it will be told once more
            self.world.untold = [each for each in self.world.untold if each not in told]

    @rule()
    def all_is_told(self) -> None:
        self.operator.hear(self.world.untold)
        self.world.untold = []

    @rule()
    def what_was_to_be_told_is_lost_until_the_next_comparison(self) -> None:
        self.world.untold = []
        self.operator.resync()

    # --- operators ---

    @rule(most=st.sampled_from([1, 2, 50]))
    def operator_works(self, most: int) -> None:
        self.operator.work(most=most)

    @rule(writes=st.integers(1, 4), effect=st.booleans())
    def operator_crashes_and_another_one_starts(self, writes: int, effect: bool) -> None:
        self.operator.door.writes_left, self.operator.door.effect = writes, effect
        with contextlib.suppress(Crash):
            self.operator.work()
        self.operator.door.writes_left = None
        self.operator.door.fenced = True
        self.replaced.append(self.operator)
        self.operator = Operator(self.world, self.settings)
        self.operator.sync()
        self.world.untold = []  # a watch tells what came after its list

    @rule(outages=st.integers(1, 3), effect=st.booleans())
    def api_server_does_not_answer(self, outages: int, effect: bool) -> None:
        self.operator.door.outages, self.operator.door.outage_effect = outages, effect
        self.operator.work(most=5)
        self.operator.door.outages = 0

    @precondition(lambda self: self.replaced)
    @rule()
    def a_replaced_operator_wakes_up(self) -> None:
        version = self.world.version
        self.replaced[-1].work(most=3)
        assert self.world.version == version, "it wrote"

    # --- workers ---

    @precondition(lambda self: self.world.live_jobs())
    @rule(pick=st.randoms(use_true_random=False), step=st.sampled_from(["pod", "start", "count", "whole", "whole"]),
          end=st.sampled_from(ENDS))  # fmt: skip
    def job_goes_on(self, pick: random.Random, step: str, end: dict[str, Any]) -> None:
        job = pick.choice(self.world.live_jobs())
        running = [pod for pod in self.world.pods_of(job) if not ended(pod)]
        if step == "whole":
            self.world.run_to_the_end(job, **end)
        elif step == "count":
            self.world.finish_job(job)
        elif step == "pod" and not running:
            self.world.make_pod(job)
        elif step == "start" and running and running[0]["status"]["phase"] == "Pending":
            self.world.start(running[0])

    @precondition(lambda self: self.world.live_jobs())
    @rule(pick=st.randoms(use_true_random=False))
    def somebody_deletes_a_job(self, pick: random.Random) -> None:
        self.world.remove(JOBS, key_of(pick.choice(self.world.live_jobs())))

    @rule()
    def deleted_pods_end(self) -> None:
        self.world.bury_pods()

    @rule(seconds=st.sampled_from([1, 3, 10, 40, 120]))
    def time_passes(self, seconds: int) -> None:
        self.world.seconds += seconds

    # --- what always holds ---

    @invariant()
    def no_task_has_two_live_jobs_and_no_slot_is_used_twice(self) -> None:
        if not hasattr(self, "world"):
            return
        live = Counter(job["metadata"]["labels"][LABEL_TASK_UID] for job in self.world.live_jobs())
        assert all(count == 1 for count in live.values()), live
        assert len(live) <= self.settings.max_concurrent
        if self.settings.max_per_namespace is not None:
            used = Counter(job["metadata"]["namespace"] for job in self.world.live_jobs())
            assert all(count <= self.settings.max_per_namespace for count in used.values())

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        for task in self.world.tasks() if hasattr(self, "world") else []:
            uid, phase = task["metadata"]["uid"], task["status"].get("phase")
            if uid in self.phases:
                assert phase == self.phases[uid]
            elif phase is not None and Phase(phase).is_final:
                self.phases[uid] = Phase(phase)

    def teardown(self) -> None:
        """Once the faults are over, everything ends by itself."""
        if not hasattr(self, "world"):
            return
        for _ in range(40):
            self.all_is_told()
            self.operator.work()
            for job in self.world.live_jobs():
                self.world.run_to_the_end(job)
            self.world.bury_pods()
            self.world.seconds += 200
            self.no_task_has_two_live_jobs_and_no_slot_is_used_twice()
            if all(_rests(task) for task in self.world.tasks()) and not self.world.untold:
                break
        self.operator.work()
        assert [task["status"] for task in self.world.tasks() if not _rests(task)] == []
        assert self.world.live_jobs() == []
        assert self.operator.reconciler.slots.in_use == 0
        assert self.operator.reconciler.slots.waiting == 0


def _rests(task: Object) -> bool:
    phase = task["status"].get("phase")
    is_held = task["spec"].get("desiredState") == "Suspended" and phase == "Suspended"
    return is_held or (phase is not None and Phase(phase).is_final)


Cluster.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
TestCluster = Cluster.TestCase
for _number, _how in (
    (1, "crashes before and after any call, in any order"),
    (5, "events are lost, repeated and shuffled"),
    (14, "users act at any moment"),
):
    TestCluster = pytest.mark.fault(_number, _how)(TestCluster)


@pytest.mark.fault(13, "the real reconciler in simulated time")
def test_a_thousand_tasks_of_ten_namespaces_keep_to_the_slots_and_take_fair_turns() -> None:
    """The real reconciler; every Job lasts as long as chance says."""
    chance, world, slots, share = random.Random(7), World(), 40, 5  # noqa: S311
    sizes = [30, 40, 50, 60, 70, 90, 110, 130, 170, 250]
    for number, size in enumerate(sizes):
        for each in range(size):
            world.create_task(f"t{each}", f"team-{number}")
    operator = Operator(world, Settings(max_concurrent=slots, max_per_namespace=share, kubernetes_events=False))
    operator.sync()
    ends: dict[str, float] = {}
    started: Counter[str] = Counter()
    while sum(started.values()) < sum(sizes) or world.live_jobs():
        operator.hear(world.untold)
        world.untold = []
        operator.work()
        live = world.live_jobs()
        assert len(live) <= slots
        used = Counter(job["metadata"]["namespace"] for job in live)
        assert max(used.values(), default=0) <= share
        for job in live:
            if job["metadata"]["uid"] not in ends:
                started[job["metadata"]["namespace"]] += 1
                ends[job["metadata"]["uid"]] = world.seconds + chance.uniform(5, 20)
        if sum(started.values()) > 5 * slots and max(started.values()) <= min(sizes):
            shares = [started[f"team-{number}"] for number in range(10)]
            assert sum(shares) ** 2 / (10 * sum(each**2 for each in shares)) >= 0.95, shares
        world.seconds += 3
        for job in live:
            if ends[job["metadata"]["uid"]] <= world.seconds and not finished(job):
                world.run_to_the_end(job)

    assert sum(started.values()) == sum(sizes)
    per_task = (operator.door.calls - operator.door.positions_told) / sum(sizes)
    assert per_task <= 4.2, f"{per_task} calls a task"
