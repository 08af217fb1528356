"""The WebSocket routes: they run a `Session` over a connection. Receiving is all that they ever wait for."""

import contextlib
import time
from dataclasses import dataclass, field

import structlog
from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnect

from repack_contract.messages import CloseCode
from repack_dashboard.auth import is_known_host, is_own_page
from repack_dashboard.backlog import Backlog
from repack_dashboard.doors import Guest, client_address
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.frames import frame
from repack_dashboard.hub import Client, channel_of
from repack_dashboard.protocol import connection_of
from repack_dashboard.services import Services
from repack_dashboard.session import (
    Close,
    Join,
    Leave,
    Opening,
    Ponged,
    Renew,
    Reply,
    Session,
    as_base_contract,
    kind_of,
    open_session,
)
from repack_dashboard.sinks import QueueSink, Sink
from repack_dashboard.users import Access, UnauthenticatedError, bearer_of
from repack_dashboard.welcome import uid_of_channel
from repack_kube.errors import KubeError

log = structlog.get_logger("repack.dashboard")


def routes(services: Services) -> APIRouter:
    """Return the routes of the WebSocket."""
    router = APIRouter()

    async def all_tasks(websocket: WebSocket) -> None:
        await _serve(websocket, services, uid=None)

    async def one_task(websocket: WebSocket) -> None:
        await _serve(websocket, services, uid=websocket.path_params["uid"])

    # Plain routes: FastAPI keeps two exit stacks per open socket of its own kind, a tenth of its memory.
    router.add_websocket_route("/ws/tasks", all_tasks)
    router.add_websocket_route("/ws/tasks/{uid}", one_task)
    return router


async def _serve(websocket: WebSocket, services: Services, *, uid: str | None) -> None:
    if not await _is_welcome(websocket, services):
        return
    query = websocket.query_params
    opening = open_session(
        version=query.get("v"),
        since=query.get("since"),
        epoch=query.get("epoch"),
        subprotocols=websocket.scope["subprotocols"],
    )
    await websocket.accept(subprotocol=opening.subprotocol)
    token = bearer_of(websocket.headers, websocket.scope["subprotocols"])
    address = _address(websocket, services)
    found = opening.refusal or _is_unable(services, address) or await _let_in(services, uid, token)
    if isinstance(found, Access):
        guest = Guest(address, found.subject)
        # Counted in without a wait in between, so that no two can take the last place.
        found = services.doors.enter(guest) or found
    if isinstance(found, Close):
        await _refuse(websocket, services, found if opening.is_v1 else as_base_contract(found))
        return
    try:
        await _attend(websocket, services, Visit(uid, opening, token, found))
    finally:
        services.doors.leave(guest)


async def _attend(websocket: WebSocket, services: Services, visit: "Visit") -> None:
    connection = connection_of(dict(websocket.scope))
    if connection is not None:
        await _run(websocket, services, connection, visit)
        return
    settings = services.settings
    sink = QueueSink(websocket, Backlog(max_frames=settings.backlog_frames, max_bytes=settings.backlog_bytes))
    sink.start()
    try:
        await _run(websocket, services, sink, visit)
    finally:
        await sink.stop()


def _address(websocket: WebSocket, services: Services) -> str:
    peer = websocket.client.host if websocket.client else None
    header = ",".join(websocket.headers.getlist("x-forwarded-for"))
    return client_address(peer, header, trusted=services.settings.trusted_proxies)


@dataclass(frozen=True, slots=True)
class Visit:
    """A connection that was let in."""

    uid: str | None
    opening: Opening
    token: str | None = field(repr=False)
    access: Access


async def _refuse(websocket: WebSocket, services: Services, refusal: Close) -> None:
    """Close at once. Browsers cannot tell rejected handshakes apart, so the reason is told by a close code."""
    services.metrics.rejected.labels(str(refusal.code)).inc()
    log.info("a WebSocket was refused", code=refusal.code, reason=refusal.reason)
    await websocket.close(refusal.code, refusal.reason)


async def _is_welcome(websocket: WebSocket, services: Services) -> bool:
    """Refuse, before the handshake, pages of others: a browser lets any page open a WebSocket to any server."""
    headers, settings = websocket.headers, services.settings
    known = is_known_host(headers.get("host"), allowed=settings.allowed_hosts)
    own = is_own_page(headers.get("origin"), host=headers.get("host"), allowed=settings.allowed_origins)
    if known and own:
        return True
    services.metrics.rejected.labels("origin").inc()
    sentence = "This page may not use this server; see REPACK_DASHBOARD_ALLOWED_ORIGINS and _ALLOWED_HOSTS.\n"
    await websocket.send_denial_response(PlainTextResponse(sentence, status_code=403))
    return False


async def _let_in(services: Services, uid: str | None, token: str | None) -> Access | Close:
    """Return what a new client may see, or why it is not let in."""
    try:
        access = await services.users.access(token)
    except UnauthenticatedError:
        return Close(CloseCode.UNAUTHENTICATED, "the token is missing or not valid")
    except KubeError as error:
        log.warning("a user cannot be asked for", error=error.message)
        return Close(CloseCode.TRY_LATER, "your rights cannot be asked for now")
    if uid is not None and not await _is_shown(services, uid, access):
        return Close(CloseCode.UNKNOWN_TASK, "no such task")
    if uid is None and access.sees is not None and not access.sees:
        return Close(CloseCode.FORBIDDEN, "you may see no namespace of this dashboard")
    return access


def _is_unable(services: Services, address: str) -> Close | None:
    if services.is_draining:
        return Close(CloseCode.RESTART, "restarting")
    if not services.relist.ready.is_set():
        return Close(CloseCode.TRY_LATER, "the tasks are not known yet")
    if not services.log.state.is_live:
        return Close(CloseCode.TRY_LATER, "the event log cannot be reached")
    return services.doors.refusal(Guest(address))


async def _is_shown(services: Services, uid: str, access: Access) -> bool:
    """Look for the task in the cluster before saying that it is not there: it may be newer than our list."""
    with contextlib.suppress(KubeError, LogUnavailableError):
        await services.knows(uid)
    view = services.board.store.get(uid)
    return view is not None and access.shows(view.namespace)


async def _run(websocket: WebSocket, services: Services, sink: Sink, visit: Visit) -> None:
    hub, uid, opening = services.hub, visit.uid, visit.opening
    await services.log.catch_up(uid, position=opening.since, epoch=opening.epoch)
    client = hub.connect(sink, is_v1=opening.is_v1, kind="tasks" if uid is None else "task")
    services.seats.take(client, visit.token, visit.access)
    session = Session(
        is_v1=opening.is_v1,
        own_channel=channel_of(uid),
        messages_per_second=services.settings.messages_per_second,
    )
    code = CloseCode.INTERNAL
    try:
        services.welcome.greet(client, uid, opening, sees=visit.access.sees)
        while True:  # ends with the connection
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or 1005
                break
            await _obey(services, client, session, message.get("text") or message.get("bytes") or "")
    except (WebSocketDisconnect, RuntimeError) as error:
        code = error.code if isinstance(error, WebSocketDisconnect) else 1006
    finally:
        services.seats.leave(client)
        hub.drop(client, code=code)
        _note_end(client, code)


def _note_end(client: Client, code: int) -> None:
    """Write a line about an end that is none of the usual ones; the counter has all of them."""
    shown = client.close_code or (1006 if code == 1005 else code)  # uvicorn says 1005 of a line that was cut
    if shown not in {CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.RESTART}:
        initiator = "client" if client.close_code is None and shown != CloseCode.SILENT else "server"
        log.info("a WebSocket ended", client=client.id, kind=client.kind, code=shown, initiator=initiator)


async def _obey(services: Services, client: Client, session: Session, text: str | bytes) -> None:
    """Do what a message of the client asks for.

    A paused reader would be taken for a dead one: only who has seen more on another replica than we have waits, and for
    two seconds at most.
    """
    hub = services.hub
    actions = session.receive(text, now=time.monotonic())
    services.metrics.messages_received.labels(kind_of(actions)).inc()
    for action in actions:
        match action:
            case Reply(message=message):
                hub.reply(client, frame(message), kind=message.type)
            case Ponged(id=number):
                hub.ponged(number)
                services.seats.ponged(client)
            case Join():
                await services.log.catch_up(uid_of_channel(action.channel), position=action.since, epoch=action.epoch)
                if not services.welcome.join(client, action, sees=services.seats.access(client).sees):
                    hub.reply(client, frame(session.refuse(action.channel, number=action.id).message), kind="error")
            case Leave(channel=channel):
                services.welcome.leave(client, channel)
            case Renew(token=token):
                services.seats.refresh(client, token)
            case Close(code=code, reason=reason):
                hub.close(client, code, reason)
            case _:
                pass
