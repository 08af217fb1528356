"""Failures as the API server answers them: code, reason and message of a Status object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""


@dataclass(frozen=True)
class Cause:
    """One field that is wrong, as in `details.causes`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ApiError(Exception):
    """A refused request. `status()` is the body of the answer, `code` its HTTP status."""

    def __init__(self, code: int, reason: str, message: str, *, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Object:
        """Return the Status object."""
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


def not_found(group: str, plural: str, name: str) -> ApiError:
    """Say that there is no such object."""
    return ApiError(
        404, "NotFound", f'{_dotted(plural, group)} "{name}" not found', details=_details(name, group, plural)
    )


def no_such_path() -> ApiError:
    """Say that nothing is served there."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """Say that the name is taken."""
    message = f'{_dotted(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str = "") -> ApiError:
    """Say that the object is not the one the caller thinks it is."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_dotted(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(name, group, plural))


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Say which fields of an object are wrong."""
    listed = ", ".join(str(cause) for cause in causes)
    text = listed if len(causes) == 1 else f"[{listed}]"
    details = _details(name, group, kind) | {
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    }
    return ApiError(422, "Invalid", f'{_dotted(kind, group)} "{name}" is invalid: {text}', details=details)


def bad_request(message: str) -> ApiError:
    """Say that the request itself makes no sense."""
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """Say that a rule of the server refuses it."""
    message = f'{_dotted(plural, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_details(name, group, plural))


def expired(message: str) -> ApiError:
    """Say that this part of the history is gone: list again."""
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    """Say that the resource does not know the verb."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def success(group: str, plural: str, name: str, *, uid: str) -> Object:
    """Return the Status that answers a deletion."""
    details = _details(name, group, plural) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _dotted(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> Object:
    details: Object = {"name": name}
    if group:
        details["group"] = group
    return details | {"kind": kind}
