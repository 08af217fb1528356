"""Routes: the log of an attempt, in pieces or whole."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from repack_contract.views import LogPage, TaskView
from repack_dashboard.attempts import Attempts
from repack_dashboard.problems import not_found
from repack_dashboard.services import Services
from repack_dashboard.tickets import DownloadAccess
from repack_dashboard.users import UserAccess

MAX_LINES = 10_000


def routes(services: Services) -> APIRouter:
    """Return the routes of logs."""
    router = APIRouter(prefix="/tasks/{uid}", tags=["logs"])
    attempts = services.attempts

    @router.get("/log")
    async def log(
        access: UserAccess,
        uid: str,
        attempt: Annotated[int | None, Query(ge=1)] = None,
        after: Annotated[int | None, Query(ge=0)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 1000,
    ) -> LogPage:
        """Return lines after line `after`, or the last ones; of the last attempt where none is named."""
        view = services.task(uid, access)
        kept = await attempts.attempts(uid)
        chosen = attempt or current_attempt(view, kept)
        await attempts.bring(uid, chosen)
        if after is None:
            items = await attempts.tail(uid, chosen, limit=limit)
        else:
            items = await attempts.after(uid, chosen, position=after, limit=limit)
        return LogPage(
            attempt=chosen,
            attempts=kept,
            items=items,
            last=attempts.last_line(uid, chosen),
            complete=has_ended(view, chosen, attempts),
        )

    @router.get("/log.txt", response_class=StreamingResponse, responses={200: {"content": {"text/plain": {}}}})
    async def whole_log(
        access: DownloadAccess, uid: str, attempt: Annotated[int | None, Query(ge=1)] = None
    ) -> StreamingResponse:
        """Return the whole log as text."""
        view = services.task(uid, access)
        kept = await attempts.attempts(uid)
        chosen = attempt or current_attempt(view, kept)
        await attempts.bring(uid, chosen)
        if chosen not in kept:
            raise not_found("log of this attempt")
        name = f"{view.name}-{chosen}.log"
        headers = {"Content-Disposition": f'inline; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(attempts.text(uid, chosen), media_type="text/plain; charset=utf-8", headers=headers)

    return router


def current_attempt(view: TaskView, kept: list[int]) -> int:
    """Return the attempt whose log somebody wants to see who names none."""
    return max([view.status.attempt or 1, *kept])


def has_ended(view: TaskView, attempt: int, attempts: Attempts) -> bool:
    """Tell whether no further line of this attempt can come."""
    phase = view.status.phase
    is_over = (phase is not None and phase.is_final) or attempt < (view.status.attempt or 0)
    return is_over or attempts.is_complete(view.uid, attempt)
