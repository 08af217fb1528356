"""Errors that know what they mean: reason, message, hint. The reason's table says class, exit code and retry.

RepackError                the base; carries everything that a user, the operator and the page need
└── SpecError              a spec that breaks a rule (InvalidSpec); names the field
"""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from repack_contract.reasons import REASONS, Reason, ReasonFacts

MAX_MESSAGE = 2000
"""Longest message in characters: it is shown in lists and kept in etcd with every object."""

_URL = re.compile(r"https?://[^\s'\"<>\\]+")
_CONTROLS = re.compile(r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Colours, which are kept, and every other control: what others wrote must not drive anybody's terminal."""


def sanitize(text: str, *, limit: int = MAX_MESSAGE) -> str:
    """Return `text` without credentials, queries and fragments in its URLs, controls, and what is above `limit`.

    Queries carry tokens (flux's `sanitized.go` does the same), and messages travel to status, logs and browsers.
    """
    readable = _CONTROLS.sub(lambda match: match.group(1) or "�", text.replace("\r\n", "\n"))
    cleaned = _URL.sub(lambda match: without_secrets(match.group()), readable)
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def without_secrets(url: str) -> str:
    """Return `url` without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a malformed URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class RepackError(Exception):
    """Something went wrong in a way we can name.

    Args:
        reason: the cause, of the table in `repack_contract.reasons`.
        message: what happened, with the culprit and the value; one or two sentences.
        hint: what to do about it; that of the table when absent.
        details: further facts for a program (JSON values), such as `{"field": "spec.source.url"}`.
    """

    def __init__(
        self, reason: Reason, message: str, *, hint: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        self.reason = reason
        self.message = sanitize(message)
        self.hint = sanitize(hint or REASONS[reason].hint)
        self.details = details or {}
        super().__init__(self.message)

    @property
    def facts(self) -> ReasonFacts:
        """What the table says of the reason."""
        return REASONS[self.reason]

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ends with this error."""
        return self.facts.exit_code or 1

    @property
    def with_hint(self) -> str:
        """The sentence for `status.message`: what happened and, at its end, what to do."""
        return with_hint(self.message, self.hint)


class SpecError(RepackError):
    """A spec breaks a rule; `field` is its path, such as `spec.source.url`."""

    def __init__(self, field: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(Reason.INVALID_SPEC, f"{field}: {message}", hint=hint, details={"field": field})
        self.field = field


def with_hint(message: str, hint: str) -> str:
    """Join a message and its hint the way `status.message` has them."""
    return f"{message} Hint: {hint}" if hint else message
