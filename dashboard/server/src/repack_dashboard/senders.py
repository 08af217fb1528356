"""Operator and workers: who they are and what they may send in. A user's token opens nothing here.

`ingest_auth` token: one static token that both share. `kubernetes`: each shows a projected service-account token with
the audience `dify-repack-ingest`; the Pod named in it binds a worker to its own task and attempt (operator.md 6.3).
"""

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from repack_contract.naming import INGEST_AUDIENCE, LABEL_TASK_UID, job_name
from repack_contract.views import TaskView
from repack_dashboard.problems import ProblemError
from repack_dashboard.remembered import Remembered
from repack_dashboard.users import bearer_of
from repack_kube.errors import NotFoundError
from repack_kube.resources import PODS, Object, Resource, uid_of
from repack_kube.reviews import Creates, Identity, review_token

_JOB_LABEL = "batch.kubernetes.io/job-name"


class IngestApi(Creates, Protocol):
    """The verbs that telling workers apart needs."""

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        """Return one object."""
        ...


@dataclass(frozen=True)
class Work:
    """What one worker is there for."""

    namespace: str
    job: str
    task_uid: str


@dataclass(frozen=True)
class Sender:
    """Somebody who sends in."""

    is_operator: bool
    work: Work | None = None
    """What a worker is bound to; None of a sender that is not bound (the static token)."""

    def check_operator(self) -> None:
        """Raise the 403 problem unless this is the operator."""
        if not self.is_operator:
            raise _refusal("This token is not the operator's.", "Set REPACK_DASHBOARD_INGEST_OPERATORS to its account.")

    def check_attempt(self, view: TaskView, attempt: int) -> None:
        """Raise the 403 problem unless this is the worker of that attempt of that task."""
        own = Work(view.namespace, job_name(view.name, attempt=attempt), view.uid)
        if self.work != own and not self._is_free:
            raise _refusal("This token is not that of the worker of this attempt.", "A worker reports its own attempt.")

    def check_upload(self, views: Collection[TaskView], key: str) -> None:
        """Raise the 403 problem unless the task of this worker names that upload."""
        mine = [view for view in views if self.work is not None and view.uid == self.work.task_uid]
        named = [view.spec.source.upload.key for view in mine if view.spec.source.upload is not None]
        if key not in named and not self._is_free:
            raise _refusal("This token is not that of a worker whose task names this upload.", "")

    @property
    def _is_free(self) -> bool:
        return self.is_operator and self.work is None


class Senders(Protocol):
    """Those who may send in."""

    async def sender(self, token: str) -> Sender | None:
        """Return whose token it is; None when nobody's. Raises `KubeError`."""
        ...


class TokenSenders:
    """One token, which operator and workers share; compared in constant time."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def sender(self, token: str) -> Sender | None:
        """Return somebody who may be either."""
        return Sender(is_operator=True) if self._token and hmac.compare_digest(token.encode(), self._token) else None


class KubernetesSenders:
    """Service accounts of the cluster. Answers are kept for `seconds`, far shorter than a token lives.

    Args:
        api: where to ask.
        operators: user names of the operator, such as `system:serviceaccount:dify-repack:operator`.
        clock: seconds that only grow.
        seconds: so long an answer may be used.
    """

    def __init__(
        self, api: IngestApi, *, operators: Collection[str], clock: Callable[[], float], seconds: float = 30.0
    ) -> None:
        self._api = api
        self._operators = frozenset(operators)
        self._known: Remembered[str, Sender | None] = Remembered(self._ask, seconds=seconds, clock=clock)

    async def sender(self, token: str) -> Sender | None:
        """Ask whose token it is, and which Job its Pod belongs to."""
        return await self._known.get(token)

    async def _ask(self, token: str) -> Sender | None:
        who = await review_token(self._api, token, audiences=[INGEST_AUDIENCE])
        if who is None:
            return None
        if who.username in self._operators:
            # It is bound to no attempt, and therefore to none that could be mistaken for its own.
            return Sender(is_operator=True, work=Work("", "", ""))
        return await self._worker(who)

    async def _worker(self, who: Identity) -> Sender | None:
        if who.namespace is None or who.pod is None:
            return None
        name, uid = who.pod
        try:
            pod = await self._api.get(PODS, name, namespace=who.namespace)
        except NotFoundError:
            return None
        if uid_of(pod) != uid:
            return None
        # The Job's name is read from the label: Kubernetes cuts it in the Pod's name.
        labels = pod.get("metadata", {}).get("labels") or {}
        work = Work(who.namespace, str(labels.get(_JOB_LABEL, "")), str(labels.get(LABEL_TASK_UID, "")))
        return Sender(is_operator=False, work=work)


class IngestGuard:
    """A FastAPI dependency: says who sends in. Raises the 401 problem for strangers."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders

    async def __call__(self, request: Request) -> Sender:
        """Return the sender of a request."""
        token = bearer_of(request.headers)
        sender = None if token is None else await self._senders.sender(token)
        if sender is None:
            raise ProblemError(
                401,
                "This is for the operator and the workers, who show the ingest token.",
                hint="Give them the token of REPACK_DASHBOARD_INGEST_TOKEN_FILE.",
                headers={"WWW-Authenticate": 'Bearer realm="dify-repack-ingest"'},
            )
        return sender


def _refusal(sentence: str, hint: str) -> ProblemError:
    return ProblemError(403, sentence, hint=hint)
