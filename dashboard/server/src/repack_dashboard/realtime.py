"""The WebSocket routes: they run a `Session` over a connection. Receiving is all that they ever wait for."""

import time

import structlog
from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnect

from repack_contract.messages import CloseCode
from repack_dashboard.auth import is_known_host, is_own_page
from repack_dashboard.backlog import Backlog
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
    Reply,
    Session,
    as_base_contract,
    kind_of,
    open_session,
)
from repack_dashboard.sinks import QueueSink, Sink
from repack_kube.errors import KubeError

log = structlog.get_logger("repack.dashboard")


def routes(services: Services) -> APIRouter:
    """Return the routes of the WebSocket."""
    router = APIRouter()

    @router.websocket("/ws/tasks")
    async def all_tasks(websocket: WebSocket) -> None:
        await _serve(websocket, services, uid=None)

    @router.websocket("/ws/tasks/{uid}")
    async def one_task(websocket: WebSocket, uid: str) -> None:
        await _serve(websocket, services, uid=uid)

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
    refusal = opening.refusal or await _refusal(services, uid)
    if refusal is not None and not opening.is_v1:
        refusal = as_base_contract(refusal)
    if refusal is not None:
        # Browsers cannot tell rejected handshakes apart, so the reason is told by a close code.
        services.metrics.rejected.labels(str(refusal.code)).inc()
        await websocket.close(refusal.code, refusal.reason)
        return
    connection = connection_of(dict(websocket.scope))
    if connection is not None:
        await _run(websocket, services, connection, uid=uid, opening=opening)
        return
    settings = services.settings
    sink = QueueSink(websocket, Backlog(max_frames=settings.backlog_frames, max_bytes=settings.backlog_bytes))
    sink.start()
    try:
        await _run(websocket, services, sink, uid=uid, opening=opening)
    finally:
        await sink.stop()


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


async def _refusal(services: Services, uid: str | None) -> Close | None:
    if services.is_draining:
        return Close(CloseCode.RESTART, "restarting")
    if not services.relist.ready.is_set():
        return Close(CloseCode.TRY_LATER, "the tasks are not known yet")
    if len(services.hub) >= services.settings.max_connections:
        return Close(CloseCode.SERVER_FULL, "too many connections")
    if uid is not None and not await _is_known(services, uid):
        return Close(CloseCode.UNKNOWN_TASK, "no such task")
    return None


async def _is_known(services: Services, uid: str) -> bool:
    """Look for the task in the cluster before saying that it is not there: it may be newer than our list."""
    try:
        return await services.knows(uid)
    except KubeError:
        return uid in services.board.store


async def _run(websocket: WebSocket, services: Services, sink: Sink, *, uid: str | None, opening: Opening) -> None:
    hub = services.hub
    client = hub.connect(sink, is_v1=opening.is_v1, kind="tasks" if uid is None else "task")
    session = Session(
        is_v1=opening.is_v1,
        own_channel=channel_of(uid),
        messages_per_second=services.settings.messages_per_second,
    )
    code = CloseCode.INTERNAL
    try:
        services.welcome.greet(client, uid, opening)
        while True:  # ends with the connection
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or 1005
                break
            _obey(services, client, session, message.get("text") or message.get("bytes") or "")
    except (WebSocketDisconnect, RuntimeError) as error:
        code = error.code if isinstance(error, WebSocketDisconnect) else 1006
    finally:
        hub.drop(client, code=code)


def _obey(services: Services, client: Client, session: Session, text: str | bytes) -> None:
    """Do what a message of the client asks for. Never waits: a paused reader would be taken for a dead one."""
    hub = services.hub
    actions = session.receive(text, now=time.monotonic())
    services.metrics.messages_received.labels(kind_of(actions)).inc()
    for action in actions:
        match action:
            case Reply(message=message):
                hub.reply(client, frame(message), kind=message.type)
            case Ponged(id=number):
                hub.ponged(number)
            case Join() if not services.welcome.join(client, action):
                hub.reply(client, frame(session.refuse(action.channel, number=action.id).message), kind="error")
            case Leave(channel=channel):
                hub.leave(client, channel)
            case Close(code=code, reason=reason):
                hub.close(client, code, reason)
            case _:
                pass
