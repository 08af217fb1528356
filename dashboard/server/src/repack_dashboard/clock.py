"""The moment, as everything that is written down has it: aware, UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
