"""What holds whatever happens: a world of one task, driven by chance."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builders import a_task_object
from repack_contract.phases import TRANSITIONS
from repack_contract.task import DesiredState, RepackageTask
from repack_operator.decide import decide
from repack_operator.outcome import over
from repack_operator.sightings import JobSeen, PodSeen
from repack_operator.situation import (
    Answers,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteTask,
    LookFor,
    Refusal,
    Situation,
    Slot,
)
from situation_builder import START, a_failure, a_job, a_success, a_waiting_pod, an_ended_pod, applied

ENDS = [
    *[a_failure(20, "IndexUnreachable")] * 5,
    an_ended_pod(137, reason="OOMKilled"),
    an_ended_pod(99, "nonsense"),
    an_ended_pod(0, ""),
    a_success(),
    a_failure(12, "InvalidPackage"),
]


class World(RuleBasedStateMachine):
    """One task, its Jobs and Pods, the user, time, and an operator that may crash between any two calls."""

    @initialize(limit=st.integers(0, 3), ttl=st.sampled_from([None, 0, 100]))
    def begin(self, limit: int, ttl: int | None) -> None:
        spec: dict[str, Any] = {"retry": {"limit": limit, "backoffSeconds": 5, "maxBackoffSeconds": 20}}
        spec |= {"ttlSecondsAfterFinished": ttl, "pendingDeadlineSeconds": 60}
        self.task = RepackageTask.model_validate(a_task_object(spec=spec))
        self.now = START
        self.jobs: dict[int, JobSeen] = {}
        self.pods: list[PodSeen] = []
        self.free = True
        self.refusal: Refusal | None = None
        self.attempts_made: list[int] = []
        self.deleted = False
        self.pod_number = 0

    # --- the operator ---

    def situation(self, *, looked_for: int | None = None) -> Situation:
        return Situation(
            task=self.task,
            now=self.now,
            jobs=tuple(sorted(self.jobs.values(), key=lambda job: job.attempt)),
            pods=tuple(self.pods),
            slot=Slot(free=self.free, position=2, why="all 2 slots are in use"),
            refusal=self.refusal,
            answers=Answers(looked_for=looked_for),
        )

    def decided(self) -> Decision:
        decision = decide(self.situation())
        for action in decision.actions:
            if isinstance(action, LookFor):
                return decide(self.situation(looked_for=action.attempt))
        return decision

    @rule()
    def operator_works(self) -> None:
        self.operate(crash="no")

    @precondition(lambda self: any(pod.running for pod in self.pods))
    @rule(suspend=st.booleans(), crash=st.sampled_from(["no", "after the status"]))
    def user_stops_what_runs(self, suspend: bool, crash: str) -> None:
        self.operator_works()
        if self.task.spec.desired_state == "Active" and suspend:
            self.user_wishes("Suspended")
            self.operate(crash=crash)
            self.user_wishes("Active")

    @rule(crash=st.sampled_from(["after the Job", "after the status"]))
    def operator_crashes(self, crash: str) -> None:
        self.operate(crash=crash)

    def operate(self, crash: str) -> None:
        for _ in range(6):
            decision = self.decided()
            for action in decision.actions:
                if isinstance(action, CreateJob):
                    self.create(action)
            if crash == "after the Job":
                return
            if decision.status is not None:
                self.write(decision)
            if crash == "after the status":
                return
            for action in decision.actions:
                if isinstance(action, DeleteJob):
                    self.delete_job(action.uid)
                if isinstance(action, DeleteTask):
                    assert self.task.phase is not None
                    assert self.task.phase.is_final
                    self.deleted = True

    def create(self, action: CreateJob) -> None:
        recorded = {record.attempt for record in self.task.status.attempts or []}
        assert action.attempt not in recorded, "an attempt with a recorded end was made again"
        assert not any(job.live for job in self.jobs.values()), "two live Jobs"
        assert all(over(pod, self.now) for pod in self.pods), "a Job beside a Pod of an earlier one"
        job = a_job(attempt=action.attempt, uid=f"job-{len(self.attempts_made)}")
        self.jobs[action.attempt] = replace(job, created_at=self.now)
        self.attempts_made.append(action.attempt)

    def write(self, decision: Decision) -> None:
        status = decision.status
        assert status is not None
        assert status.phase is not None
        before = self.task
        moved = status.phase != before.phase
        assert not (before.phase and before.phase.is_final), "a final task was written"
        assert not moved or status.phase in TRANSITIONS[before.phase]
        same_sequence = status.sequence == before.status.sequence
        assert status.sequence == (before.status.sequence or 0) + (0 if same_sequence else 1)
        assert not (moved and same_sequence), "a transition without a new sequence"
        self.task = applied(before, decision)

    def delete_job(self, uid: str) -> None:
        self.jobs = {attempt: job for attempt, job in self.jobs.items() if job.uid != uid}
        owned = {job.attempt for job in self.jobs.values()}
        at = self.now + timedelta(seconds=30)
        self.pods = [pod if pod.attempt in owned or pod.ended else replace(pod, deletion_at=at) for pod in self.pods]

    # --- the world ---

    @rule(seconds=st.sampled_from([1, 3, 10, 30, 30, 90]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(free=st.sampled_from([True, True, True, False]), refused=st.sampled_from([False, False, False, True]))
    def slots_change(self, free: bool, refused: bool) -> None:
        self.free = free
        retry_at = self.now + timedelta(seconds=5)
        self.refusal = Refusal("QuotaExceeded", "exceeded quota", retry_at=retry_at) if refused else None

    @precondition(lambda self: self.task.spec.desired_state != "Cancelled")
    @rule(state=st.sampled_from(["Active"] * 9 + ["Suspended"] * 2 + ["Cancelled"]))
    def user_wishes(self, state: str) -> None:
        spec = self.task.spec.model_copy(update={"desired_state": DesiredState(state)})
        metadata = self.task.metadata.model_copy(update={"generation": self.task.metadata.generation + 1})
        self.task = self.task.model_copy(update={"spec": spec, "metadata": metadata})

    @precondition(lambda self: any(job.live for job in self.jobs.values()) and all(p.ended for p in self.pods))
    @rule(waiting=st.sampled_from([False, False, True]), starts=st.booleans())
    def pod_appears(self, waiting: bool, starts: bool) -> None:
        job = next(job for job in self.jobs.values() if job.live)
        self.pod_number += 1
        pod = a_waiting_pod("ErrImagePull" if waiting else "ContainerCreating", attempt=job.attempt)
        self.pods.append(replace(pod, uid=f"pod-{self.pod_number}", created_at=self.now))
        if starts:
            self.worker_starts()

    @precondition(lambda self: any(not pod.ended and pod.started_at is None for pod in self.pods))
    @rule()
    def worker_starts(self) -> None:
        self.pods = [pod if pod.ended else replace(pod, started_at=self.now, waiting=None) for pod in self.pods]

    @precondition(lambda self: any(pod.running for pod in self.pods))
    @rule(end=st.sampled_from(ENDS), told=st.booleans())
    def worker_ends(self, end: PodSeen, told: bool) -> None:
        pod = next(pod for pod in self.pods if pod.running)
        ended = replace(
            end, uid=pod.uid, attempt=pod.attempt, created_at=pod.created_at,
            started_at=pod.started_at, finished_at=self.now, deletion_at=pod.deletion_at,
        )  # fmt: skip
        self.pods = [ended if other.uid == pod.uid else other for other in self.pods]
        if told and (job := self.jobs.get(pod.attempt)) is not None and job.live:
            self.jobs[pod.attempt] = replace(job, complete=end.exit_code == 0, failed=end.exit_code != 0)

    @precondition(lambda self: any(job.live for job in self.jobs.values()))
    @rule()
    def job_controller_catches_up(self) -> None:
        for attempt, job in self.jobs.items():
            pod = next((pod for pod in self.pods if pod.attempt == attempt and pod.ended and not pod.gone), None)
            if job.live and pod is not None:
                self.jobs[attempt] = replace(job, complete=pod.exit_code == 0, failed=pod.exit_code != 0)

    @precondition(lambda self: not any(pod.running for pod in self.pods))
    @rule(end=st.sampled_from(ENDS))
    def a_whole_attempt(self, end: PodSeen) -> None:
        self.operator_works()
        if any(job.live for job in self.jobs.values()) and all(pod.ended for pod in self.pods):
            self.pod_appears(waiting=False, starts=True)
            self.worker_ends(end, told=True)
            self.operator_works()
        self.time_passes(30)

    @rule()
    def deleted_pods_end(self) -> None:
        self.pods = [replace(pod, gone=True) if pod.deletion_at else pod for pod in self.pods]

    @precondition(lambda self: any(job.live for job in self.jobs.values()))
    @rule()
    def somebody_deletes_the_job(self) -> None:
        self.delete_job(next(job.uid for job in self.jobs.values() if job.live))

    # --- what always holds ---

    @invariant()
    def once_done_there_is_nothing_more_to_do(self) -> None:
        """Deciding, writing and deciding again comes to rest within a few turns, at the same moment."""
        if not hasattr(self, "task"):
            return
        task, jobs = self.task, dict(self.jobs)
        for _ in range(6):
            decision = self._decided_for(task, jobs)
            jobs = {n: j for n, j in jobs.items() if DeleteJob(j.name, j.uid) not in decision.actions}
            if DeleteTask() in decision.actions:
                return  # its Jobs go with it
            if decision.status is None:
                over_already = {record.attempt for record in task.status.attempts or []}
                assert not any(job.live and attempt in over_already for attempt, job in jobs.items())
                return
            task = applied(task, decision)
            assert task.status.wire() == decision.status.wire(), "the status does not survive being stored"
        raise AssertionError(f"no rest: {task.status}")

    def _decided_for(self, task: RepackageTask, jobs: dict[int, JobSeen]) -> Decision:
        seen = replace(self.situation(looked_for=None), task=task, jobs=tuple(jobs.values()))
        decision = decide(seen)
        asked = next((action.attempt for action in decision.actions if isinstance(action, LookFor)), None)
        return decide(replace(seen, answers=Answers(looked_for=asked))) if asked is not None else decision

    @invariant()
    def failures_never_exceed_the_limit(self) -> None:
        if hasattr(self, "task"):
            failures = [record for record in self.task.status.attempts or [] if record.failure_class]
            assert len(failures) <= self.task.spec.retry.limit + 1


World.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWorld = World.TestCase
