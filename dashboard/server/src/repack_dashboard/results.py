"""Routes: what a worker says it made, kept beside its packages; for an operator whose Job vanished before it told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from repack_contract.progress import WorkResult
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services

Attempt = Annotated[int, Path(ge=1, le=10_000)]


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes for the worker that leaves a result, and for the operator that looks for one."""
    router = APIRouter(prefix="/ingest/results", tags=["ingest"])
    packages = services.packages

    @router.put("/{uid}/{attempt}", status_code=204)
    async def take_result(
        uid: str, attempt: Attempt, result: WorkResult, sender: Annotated[Sender, Depends(guard)]
    ) -> None:
        """Take the result of a worker that published everything; its packages must be here."""
        if not await services.knows(uid):
            raise not_found("task with this uid")
        services.check_sender(sender, uid, attempt)
        if not await packages.holds(uid, attempt, result):
            raise ProblemError(409, "A package that the result names is not stored.", hint="Upload the packages first.")
        await packages.keep_result(uid, attempt, result)

    @router.get("/{uid}/{attempt}")
    async def find_result(uid: str, attempt: Attempt, sender: Annotated[Sender, Depends(guard)]) -> WorkResult:
        """Return the result of an attempt whose packages are all here."""
        sender.check_operator()
        result = await packages.find_result(uid, attempt)
        if result is None:
            raise not_found("result of this attempt")
        return result

    return router
