"""Asks the artifact store, through the dashboard, what an attempt published before its Job vanished."""

from pathlib import Path
from typing import Protocol

import httpx
import structlog
from pydantic import ValidationError

from repack_contract.progress import WorkResult

log = structlog.get_logger()

_TIMEOUT_SECONDS = 3.0
"""A task is held up for so long at the most; a dashboard that is away then costs one attempt more, not the task."""


class ArtifactStore(Protocol):
    """Where finished packages are."""

    async def published(self, uid: str, attempt: int) -> WorkResult | None:
        """Return the result that an attempt left beside its stored packages; None where it left none."""


class DashboardStore:
    """The store behind the dashboard."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file

    async def published(self, uid: str, attempt: int) -> WorkResult | None:
        """Ask the dashboard; one that does not answer knows nothing."""
        try:
            headers = {"Authorization": f"Bearer {self._token_file.read_text().strip()}"} if self._token_file else {}
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
                answer = await client.get(f"{self._url}/api/v1/ingest/results/{uid}/{attempt}", headers=headers)
            return WorkResult.model_validate_json(answer.content) if answer.status_code == 200 else None
        except (httpx.HTTPError, OSError, ValidationError) as error:
            log.warning("the artifact store could not be asked", task_uid=uid, attempt=attempt, error=repr(error))
            return None
