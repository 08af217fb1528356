"""What the API server's refusals mean.

KubeError                any answer that is not a success
├── ConflictError        409: stale resourceVersion, or a failed precondition
│   └── ExistsError      409: an object of that name exists
├── NotFoundError        404
├── GoneError            410: the version asked for is no longer kept; list again
├── ForbiddenError       401, 403: permanent until somebody changes rights or credentials
│   └── QuotaError       403: the namespace's quota is used up; passes when something ends
├── FencedError          none: not asked at all, because we may not write any more
├── InvalidError         400, 422: the object breaks a rule; `causes` names the fields
└── UnavailableError     429, 5xx, no connection, no answer in time: try again later
"""

from dataclasses import dataclass

from repack_kube.resources import Object


@dataclass(frozen=True)
class Cause:
    """One broken rule of a refused object."""

    field: str
    message: str


class KubeError(Exception):
    """The API server did not do what was asked."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", causes: tuple[Cause, ...] = ()) -> None:
        self.message = message
        self.status = status
        self.reason = reason
        self.causes = causes
        super().__init__(message)


class ConflictError(KubeError):
    """Somebody changed the object first: read it again."""


class ExistsError(ConflictError):
    """An object of that name exists already."""


class NotFoundError(KubeError):
    """There is no such object, or no such kind."""


class GoneError(KubeError):
    """The version asked for is no longer kept."""


class ForbiddenError(KubeError):
    """We may not do that; asking again does not help."""


class QuotaError(ForbiddenError):
    """The namespace's quota is used up."""


class FencedError(KubeError):
    """We do not lead any more: what we wanted to write is for the next leader to judge."""


class InvalidError(KubeError):
    """The object breaks a rule."""


class UnavailableError(KubeError):
    """The API server cannot answer now."""

    def __init__(self, message: str, *, status: int = 0, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, status=status, reason="Unavailable")
        self.retry_after_seconds = retry_after_seconds


_BY_STATUS: dict[int, type[KubeError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
}


def unknown_kind(error: KubeError) -> str:
    """Return what to do where a list was answered by 404: the cluster has no RepackageTasks; empty of other errors."""
    if not isinstance(error, NotFoundError):
        return ""
    return "this cluster has no kind RepackageTask: apply crds/repackagetasks.yaml, or set crds.enabled in the chart"


def error_from_status(status: int, body: Object) -> KubeError:
    """Return the error that a `Status` object stands for."""
    message = str(body.get("message") or f"HTTP {status}")
    reason = str(body.get("reason") or "")
    if status == 429 or status >= 500:
        seconds = (body.get("details") or {}).get("retryAfterSeconds")
        return UnavailableError(message, status=status, retry_after_seconds=seconds)
    kind = _BY_STATUS.get(status, KubeError)
    if reason == "AlreadyExists":
        kind = ExistsError
    elif status == 403 and "exceeded quota" in message:
        kind = QuotaError
    return kind(message, status=status, reason=reason, causes=_causes(body))


def _causes(body: Object) -> tuple[Cause, ...]:
    causes = (body.get("details") or {}).get("causes") or []
    return tuple(Cause(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes)
