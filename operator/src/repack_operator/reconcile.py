"""Looks at one task at a time until there is nothing left to do: read what is known, decide, act, write.

Level-triggered: it does not matter which event put a key into the queue, or how many were lost. Nothing here waits
for the dashboard.
"""

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

import structlog
from pydantic import ValidationError

from repack_contract.events import ProgressDigest
from repack_contract.phases import Phase
from repack_contract.task import DesiredState, ProgressCopy, RepackageTask, Status
from repack_kube.client import Cluster
from repack_kube.errors import ForbiddenError, KubeError, UnavailableError
from repack_kube.resources import JOBS, TASKS, Object, Resource, uid_of
from repack_operator.actions import RBAC_SAYS, Performer, is_permanent
from repack_operator.decide import decide, unreadable
from repack_operator.emit import Outbox
from repack_operator.forecast import Forecast
from repack_operator.metrics import Metrics
from repack_operator.observed import Key, Observed
from repack_operator.published import ArtifactStore
from repack_operator.settings import Settings
from repack_operator.situation import (
    Answers,
    AskStore,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteTask,
    LookFor,
    Refusal,
    Situation,
    Slot,
)
from repack_operator.slots import Slots
from repack_operator.status import merge_patch
from repack_operator.story import Story
from repack_operator.workqueue import WorkQueue

log = structlog.get_logger()

_TURNS = 10
"""More turns than any task needs in a row; beyond them the work queue's back-off takes over."""
_PLACEHOLDER_SPEC: Object = {
    "source": {"type": "Upload", "upload": {"key": "unreadable"}},
    "targets": [{"arch": "amd64"}],
}


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Reconciler:
    """Keeps every task moving. One instance per process; `note` feeds it, `work` runs it."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime] = utc_now,
        store: ArtifactStore | None = None,
    ) -> None:
        self.observed = Observed()
        self.queue: WorkQueue[Key] = WorkQueue(clock=clock)
        self.slots = Slots(self.observed, settings.limits, clock=clock, now=now)
        self.forecast = Forecast(self.observed, self.slots)
        self.outbox = Outbox(now=now)
        self.story = Story(cluster)
        self.on_refusal: Callable[[], None] = lambda: None
        """Called when the API server said that we may not do something."""
        self._settings = settings
        self._metrics = metrics
        self._store = store
        self._performer = Performer(cluster, self.observed, settings)
        self._clock = clock
        self._now = now
        self._refusals: dict[str, Refusal] = {}
        self._unsure: set[str] = set()
        """Uids of tasks whose Job was to be made when the API server did not answer; their slot stays reserved."""
        self._progress: dict[str, ProgressDigest] = {}
        self._copied_at: dict[str, float] = {}

    # --- what was seen -------------------------------------------------------------------------------------------

    def note(self, resource: Resource, body: Object, *, deleted: bool = False) -> None:
        """Take note of an object that exists, changed or is gone, and have its task looked at."""
        key = self.observed.forget(resource, body) if deleted else self.observed.see(resource, body)
        if key is None:
            return
        if resource == TASKS:
            self._tell(body, deleted=deleted)
        self.queue.add(key, urgent=resource != TASKS)
        if resource == JOBS or deleted:
            self.admit()

    def _tell(self, body: Object, *, deleted: bool) -> None:
        if deleted:
            uid = uid_of(body)
            for memory in (self._refusals, self._progress, self._copied_at):
                memory.pop(uid, None)
            self._settle(uid)
        if self._settings.ingest_url is not None:
            (self.outbox.removed if deleted else self.outbox.seen)(body)

    def admit(self) -> None:
        """Have the task looked at that goes next, where there is a slot for it; the others follow one by one."""
        key = self.slots.next_key()
        if key is None:
            return
        if seconds := self.slots.hold_seconds:
            self.queue.add_after(key, seconds)
        else:
            self.queue.add(key, urgent=True)

    def enter_queue(self) -> None:
        """Put every task that has not begun into the queue, so that the first slots go by rank, not by chance."""
        for body in self.observed.tasks():
            phase = (body.get("status") or {}).get("phase")
            if phase in {None, Phase.PENDING, Phase.QUEUED} and not self.observed.jobs_of(uid_of(body)):
                task = _readable(body)
                if task is not None and task.spec.desired_state is DesiredState.ACTIVE:
                    self.slots.wait((task.metadata.namespace, task.metadata.name), task)

    def copy_progress(self, digests: list[ProgressDigest]) -> None:
        """Take note of workers' progress; it is copied to the status when its time comes."""
        for digest in digests:
            key = self.observed.key_of_uid(digest.uid)
            if key is not None:
                self._progress[digest.uid] = digest
                self.queue.add(key)

    def phases(self) -> dict[str, int]:
        """Return the number of tasks in each phase."""
        return Tally(self.observed.phases())

    # --- what is done --------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Look at one task after the other, for ever; several of these run side by side."""
        while True:  # ends by cancellation
            key = await self.queue.get()
            started = perf_counter()
            try:
                await self.reconcile(key)
                self.queue.succeeded(key)
                self._metrics.reconciles.labels("done").inc()
            except KubeError as error:
                again = self.queue.retry(key)
                level = log.error if is_permanent(error) else log.warning
                level("the API server did not do it", task="/".join(key), error=error.message, again_seconds=again)
                self._metrics.reconciles.labels("error").inc()
                if isinstance(error, ForbiddenError):
                    self.on_refusal()
            except Exception:
                log.exception("a fault of the operator", task="/".join(key), again_seconds=self.queue.retry(key))
                self._metrics.reconciles.labels("fault").inc()
            finally:
                self._metrics.workqueue_adds.inc()
                self._metrics.reconcile_seconds.observe(perf_counter() - started)
                self.queue.done(key)

    async def reconcile(self, key: Key) -> None:
        """Look at one task until there is nothing left to do for now.

        Raises:
            KubeError: the API server could not do it now.
        """
        answers = Answers()
        for _ in range(_TURNS):
            body = self.observed.task(key)
            if body is None:
                self.slots.leave(key)
                self.queue.forget(key)
                self.admit()
                return
            task, decision = self._decide(key, body, answers)
            if decision.wake_at is not None:
                self.queue.add_after(key, (decision.wake_at - self._now()).total_seconds())
            if decision.status is None and not decision.actions:
                await self._copy_progress(key, task)
                return
            answers = await self._ask(task, decision, answers)
            await self._carry_out(key, task, decision)
            if any(isinstance(action, DeleteTask) for action in decision.actions):
                return
        raise RuntimeError(f"{_TURNS} turns and still something to do: {self.observed.task(key)}")

    def _decide(self, key: Key, body: Object, answers: Answers) -> tuple[RepackageTask, Decision]:
        """Decide and book the slot in one go: no other task can be looked at in between."""
        try:
            task, complaint = RepackageTask.model_validate(body), ""
        except ValidationError as error:
            task = RepackageTask.model_validate(body | {"spec": _PLACEHOLDER_SPEC})
            complaint = _complaint(error)
        uid = task.metadata.uid
        seen = Situation(
            task=task,
            now=self._now(),
            jobs=self.observed.jobs_of(uid),
            pods=self.observed.pods_of(uid),
            slot=self.slots.ask(key, task) if self._may_start(task) else Slot(free=False),
            refusal=self._refusals.get(uid),
            answers=answers,
            has_store=self._store is not None,
            unsure=uid in self._unsure,
            default_ttl_seconds=self._settings.default_ttl_seconds,
            job_ttl_seconds=self._settings.job_ttl_seconds,
            profiles=frozenset(self._settings.profiles),
        )
        final = task.phase is not None and task.phase.is_final
        decision = unreadable(seen, complaint) if complaint and not final else decide(seen)
        if any(isinstance(action, CreateJob) for action in decision.actions):
            self.slots.reserve(key, uid)
        elif not decision.queued:
            self.slots.leave(key)  # it runs, rests, or has ended
        self.admit()
        return task, decision

    def _may_start(self, task: RepackageTask) -> bool:
        """Tell whether the task could need a slot; whether it really does is for `decide` to say."""
        ended = task.phase is not None and task.phase.is_final
        wanted = task.spec.desired_state is DesiredState.ACTIVE and not ended
        return wanted and task.metadata.uid not in self.observed.tasks_with_live_jobs()

    async def _ask(self, task: RepackageTask, decision: Decision, known: Answers) -> Answers:
        """Ask what the decision wants to know; what was asked before counts until something else is done."""
        uid, answers = task.metadata.uid, Answers()
        for action in decision.actions:
            if isinstance(action, LookFor):
                await self._performer.perform(task, action, now=self._now())
                self._settle(uid)
                answers = replace(known, looked_for=action.attempt)
            elif isinstance(action, AskStore) and self._store is not None:
                found = await self._store.published(uid, action.attempt)
                answers = replace(known, store_asked=action.attempt, published=found)
        return answers

    async def _carry_out(self, key: Key, task: RepackageTask, decision: Decision) -> None:
        """A Job is made before the status is written, and deleted after."""
        for action in decision.actions:
            if isinstance(action, CreateJob):
                await self._create(task, action)
        if decision.status is not None and not await self._write(key, task, decision.status):
            return
        for action in decision.actions:
            if isinstance(action, DeleteJob | DeleteTask):
                await self._performer.perform(task, action, now=self._now())

    async def _create(self, task: RepackageTask, action: CreateJob) -> None:
        uid = task.metadata.uid
        try:
            refusal = await self._performer.perform(task, action, now=self._now())
        except UnavailableError:
            self._unsure.add(uid)  # it may have been made all the same
            raise
        except BaseException:
            self._settle(uid)
            raise
        self._settle(uid)
        if refusal is None:
            self._refusals.pop(uid, None)
        else:
            self._refusals[uid] = refusal
            if RBAC_SAYS in refusal.message:  # no quota and no rule of admission, which only the task can tell of
                self.on_refusal()

    def _settle(self, uid: str) -> None:
        """It is known whether the Job exists: the slot that was held for it is its own, or free."""
        self._unsure.discard(uid)
        self.slots.release(uid)
        self.admit()

    async def _write(self, key: Key, task: RepackageTask, status: Status) -> bool:
        """Write a status; False where the task had changed meanwhile and must be looked at anew."""
        patch = merge_patch(task.status.wire(), status.wire())
        stored = await self._performer.write_status(task, patch)
        if stored is None:
            await self._refresh(task)
            return False
        self.note(TASKS, stored)
        if status.sequence != task.status.sequence:
            self._count(task, status)
            if self._settings.kubernetes_events:
                self.story.tell(task, status, now=self._now())
        if status.phase is not None and status.phase.is_final:
            self.observed.drop_gone_pods(task.metadata.uid, keep_attempt=-1)
            self._progress.pop(task.metadata.uid, None)
        log.info(
            "step", task="/".join(key), phase=status.phase, reason=status.reason, sequence=status.sequence
        )  # fmt: skip
        return True

    async def _refresh(self, task: RepackageTask) -> None:
        body = await self._performer.read_again(task)
        if body is None:
            stub = {"uid": task.metadata.uid, "namespace": task.metadata.namespace, "name": task.metadata.name}
            self.note(TASKS, {"metadata": stub}, deleted=True)
        else:
            self.note(TASKS, body)

    async def _copy_progress(self, key: Key, task: RepackageTask) -> None:
        """Copy the worker's progress to the status: at most so often, unless its stage changed."""
        uid = task.metadata.uid
        digest = self._progress.get(uid)
        if digest is None or task.phase is not Phase.RUNNING or digest.attempt != task.status.attempt:
            return
        wait = self._copied_at.get(uid, float("-inf")) + self._settings.progress_seconds - self._clock()
        known = task.status.progress
        if wait > 0 and known is not None and known.step == digest.step:
            self.queue.add_after(key, wait)
            return
        del self._progress[uid]
        copy = ProgressCopy(percent=digest.percent, step=digest.step, message=digest.message, updated_at=self._now())
        new = task.status.model_copy(update={"progress": copy})
        self._copied_at[uid] = self._clock()
        stored = await self._performer.write_status(task, merge_patch(task.status.wire(), new.wire()))
        if stored is not None:
            self.note(TASKS, stored)

    def _count(self, task: RepackageTask, status: Status) -> None:
        metrics = self._metrics
        metrics.transitions.labels(str(task.phase or ""), str(status.phase), status.reason or "").inc()
        if status.start_time and not task.status.start_time and status.queued_at:
            metrics.waits.observe(max((status.start_time - status.queued_at).total_seconds(), 0))
        if len(status.attempts or ()) > len(task.status.attempts or ()) and status.attempts:
            metrics.attempts.labels(status.attempts[-1].failure_class or "None").inc()
        if status.phase is Phase.SUCCEEDED:
            self.forecast.note(task, status)
        if status.phase is not None and status.phase.is_final:
            begun = status.start_time or status.queued_at
            if begun and status.completion_time:
                metrics.durations.labels(status.phase.value).observe((status.completion_time - begun).total_seconds())
            metrics.artifact_bytes.inc(sum(artifact.size_bytes or 0 for artifact in status.artifacts or ()))


def _readable(body: Object) -> RepackageTask | None:
    try:
        return RepackageTask.model_validate(body)
    except ValidationError:
        return None


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
