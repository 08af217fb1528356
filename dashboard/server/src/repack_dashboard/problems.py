"""Every failure of the REST interface in one shape: RFC 9457 `application/problem+json`."""

import errno
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from repack_contract.errors import RepackError, sanitize
from repack_contract.reasons import REASONS, Reason
from repack_contract.views import Problem
from repack_kube.errors import (
    ConflictError,
    ExistsError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from repack_objects.errors import StoreError

MEDIA_TYPE = "application/problem+json"

_STATUS_OF_REASON = {
    Reason.DISK_FULL: 507,
    Reason.PACKAGE_TOO_LARGE: 413,
    Reason.NAME_CONFLICT: 409,
    Reason.PLUGIN_NOT_FOUND: 404,
    Reason.INTERNAL: 500,
}
_REASON_OF_STATUS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 503: "Unavailable"}

_TRY_AGAIN = "Try again in a moment."
_KUBE_ANSWERS: tuple[tuple[type[KubeError], int, str, str], ...] = (
    # The first that fits: a kind stands before the one that it is a special case of.
    (InvalidError, 422, Reason.INVALID_SPEC, "Correct the field and send it again."),
    (ExistsError, 409, "Conflict", "Choose another name."),
    (ConflictError, 409, "Conflict", "Somebody changed it first; look again and repeat."),
    (NotFoundError, 404, "NotFound", "It may have been deleted; go back to the list."),
    (QuotaError, 403, Reason.QUOTA_EXCEEDED, REASONS[Reason.QUOTA_EXCEEDED].hint),
    (ForbiddenError, 403, "Forbidden", "The dashboard's service account lacks this right."),
)


class ProblemError(Exception):
    """A request that cannot be obeyed.

    Args:
        status: the HTTP status.
        detail: what happened, in a sentence.
        hint: what to do about it.
        details: further facts for a program.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str | None = None,
        hint: str = "",
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status = status
        self.reason = reason or _REASON_OF_STATUS.get(status, "BadRequest" if status < 500 else Reason.INTERNAL.value)
        self.detail = sanitize(detail)
        self.hint = hint
        self.details = details or {}
        self.headers = headers or {}
        super().__init__(self.detail)


def not_found(what: str) -> ProblemError:
    """Return the error for something that is not there."""
    return ProblemError(404, f"There is no {what}.", hint="It may have been deleted; go back to the list.")


def disk_problem(error: OSError) -> Exception:
    """Return what a failed write means: `DiskFull` where there is no room, else the error itself."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return RepackError(Reason.DISK_FULL, "The dashboard's volume has no room left for this file.")
    return error


def from_store_error(error: StoreError) -> ProblemError:
    """Return what it means to a user that the object store cannot be used."""
    return ProblemError(503, error.message, hint=error.hint, headers={"Retry-After": "5"})


def response(error: ProblemError, request: Request) -> JSONResponse:
    """Return the answer for an error."""
    problem = Problem(
        title=_title(error.status),
        status=error.status,
        detail=error.detail,
        reason=error.reason,
        hint=error.hint,
        instance=request.url.path,
        details=error.details,
    )
    return JSONResponse(problem.wire(), status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def from_repack_error(error: RepackError) -> ProblemError:
    """Return the answer to one of the named errors; 422 unless its reason has a status of its own."""
    status = _STATUS_OF_REASON.get(error.reason, 422)
    return ProblemError(status, error.message, reason=error.reason, hint=error.hint, details=error.details)


def from_kube_error(error: KubeError) -> ProblemError:
    """Return what the API server's refusal means to whoever asked us."""
    details: dict[str, Any] = {}
    if error.causes:
        details = {
            "field": error.causes[0].field,
            "causes": [{"field": cause.field, "message": cause.message} for cause in error.causes],
        }
    sentence = "; ".join(cause.message for cause in error.causes if cause.message) or error.message
    if isinstance(error, UnavailableError):
        headers = {"Retry-After": str(int(error.retry_after_seconds or 2))}
        detail = f"The Kubernetes API cannot be reached: {error.message}"
        return ProblemError(503, detail, hint=_TRY_AGAIN, headers=headers)
    if isinstance(error, ExistsError):
        details = {"field": "metadata.name"}
    for kind, status, reason, hint in _KUBE_ANSWERS:
        if isinstance(error, kind):
            return ProblemError(status, sentence, reason=reason, hint=hint, details=details)
    return ProblemError(502, sentence, reason="Unavailable", hint=_TRY_AGAIN)


def _from_validation_error(error: RequestValidationError) -> ProblemError:
    first, *_ = error.errors()
    where = [str(part) for part in first["loc"] if part not in {"body", "query", "path"}]
    field = ".".join(where)
    sentence = str(first["msg"]).removeprefix("Value error, ")
    return ProblemError(
        422,
        f"{field}: {sentence}" if field else sentence,
        reason=Reason.INVALID_SPEC if field.startswith("spec") else "BadRequest",
        hint="Correct the field and send it again.",
        details={"field": field} if field else {},
    )


def install(app: FastAPI) -> None:
    """Make `app` answer every failure as problem+json."""

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> JSONResponse:
        return response(error, request)

    @app.exception_handler(RepackError)
    async def _repack(request: Request, error: RepackError) -> JSONResponse:
        return response(from_repack_error(error), request)

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> JSONResponse:
        return response(from_store_error(error), request)

    @app.exception_handler(KubeError)
    async def _kube(request: Request, error: KubeError) -> JSONResponse:
        return response(from_kube_error(error), request)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return response(_from_validation_error(error), request)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        return response(ProblemError(error.status_code, str(error.detail), headers=headers), request)

    @app.exception_handler(Exception)
    async def _bug(request: Request, _error: Exception) -> JSONResponse:
        # The traceback goes to the log (Starlette raises it again); a stranger learns nothing from it.
        facts = REASONS[Reason.INTERNAL]
        return response(ProblemError(500, facts.meaning, reason=Reason.INTERNAL, hint=facts.hint), request)
