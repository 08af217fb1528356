"""The composition root: an application made of settings and of the Kubernetes API it shall use."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Any, cast

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from repack_contract import VERSION
from repack_dashboard import (
    artifacts,
    bundle,
    catalog,
    companions,
    docs,
    history,
    ingest,
    layout,
    logs,
    memory,
    openapi,
    problems,
    realtime,
    results,
    sights,
    site,
    status,
    storage,
    tasks,
    tickets,
    wheels,
)
from repack_dashboard.announce import Announcer
from repack_dashboard.archive import ArchivedAttempts
from repack_dashboard.attempts import Attempts
from repack_dashboard.background import running
from repack_dashboard.blobs import Blobs
from repack_dashboard.board import Board
from repack_dashboard.clock import now
from repack_dashboard.cluster import ClusterTasks, Relist, TaskApi
from repack_dashboard.doors import Doors
from repack_dashboard.eventlog import EventLog, MemoryLog
from repack_dashboard.eventlog_redis import RedisLog, connect
from repack_dashboard.events import Bounds
from repack_dashboard.folder_blobs import FolderBlobs
from repack_dashboard.hub import Hub
from repack_dashboard.live import Seats
from repack_dashboard.marketplace import Marketplace
from repack_dashboard.memory_store import Memory
from repack_dashboard.metrics import Metrics
from repack_dashboard.object_blobs import ObjectBlobs
from repack_dashboard.operator_health import OperatorWatch
from repack_dashboard.packages import Packages
from repack_dashboard.requests import RequestGuard
from repack_dashboard.senders import IngestApi, IngestGuard, KubernetesSenders, Senders, TokenSenders
from repack_dashboard.services import Services, shown_namespaces
from repack_dashboard.settings import AuthMode, IngestAuth, Settings
from repack_dashboard.store import Store
from repack_dashboard.users import Everybody, KubernetesUsers, TokenUsers, Users
from repack_dashboard.welcome import Greeting, Welcome
from repack_dashboard.wheel_store import WheelStore
from repack_objects.bucket import Bucket

API = "/api/v1"
STORE_SECONDS = 5.0
"""Longest wait for the object store before we begin without it."""


def make_services(settings: Settings, api: TaskApi) -> Services:
    """Put the parts together; nothing runs yet."""
    metrics, store, events = Metrics(), Store(), make_log(settings)
    hub = Hub(metrics=metrics, clock=time.monotonic, tick=settings.tick_seconds)
    blobs = make_blobs(settings, metrics)
    attempts = make_attempts(settings, blobs)
    board = Board(store=store, log=events, attempts=attempts, now=now)
    events.listeners.entries.append(hub.publish)
    operator = OperatorWatch(clock=time.monotonic)
    announcer = Announcer(hub=hub, attempts=attempts, operator=operator)
    events.listeners.notes.append(announcer.take)
    cluster = ClusterTasks(api, namespaces=settings.watch_namespaces)

    metrics.count_tasks(lambda: len(store))
    metrics.watch_log(events)
    users = make_users(settings, api, store)
    welcome = Welcome(
        hub=hub,
        log=events,
        store=store,
        metrics=metrics,
        greeting=Greeting(server=VERSION, ping_interval=settings.heartbeat_interval, operator=operator),
    )
    return Services(
        settings=settings,
        version=VERSION,
        metrics=metrics,
        log=events,
        board=board,
        hub=hub,
        welcome=welcome,
        operator=operator,
        announcer=announcer,
        attempts=attempts,
        blobs=blobs,
        packages=Packages(blobs),
        wheels=WheelStore(blobs, max_bytes=settings.wheel_cache_bytes),
        memory=Memory(blobs),
        tasks=cluster,
        relist=Relist(cluster, board=board, metrics=metrics, clock=time.monotonic),
        users=users,
        seats=Seats(
            users,
            hub=hub,
            welcome=welcome,
            namespaces=lambda: shown_namespaces(settings, store),
            clocks=(time.monotonic, time.time),
            seconds=settings.auth_recheck_seconds,
        ),
        senders_api=api,
        marketplace=make_marketplace(settings),
        doors=Doors(
            in_all=settings.max_connections,
            per_address=settings.max_connections_per_address,
            per_user=settings.max_connections_per_user if settings.auth_mode is AuthMode.KUBERNETES else None,
        ),
    )


def make_blobs(settings: Settings, metrics: Metrics) -> Blobs:
    """Return where packages are kept: the folder, or an object store where one is set.

    Raises:
        StoreError: it cannot be opened, as its library or a file that the settings name is missing.
    """
    location = settings.read_store()
    return FolderBlobs(settings.data_dir) if location is None else ObjectBlobs(Bucket(location), metrics=metrics)


def make_attempts(settings: Settings, blobs: Blobs) -> Attempts:
    """Return where logs are kept: in the folder, which an object store makes a mere spool."""
    folder = settings.data_dir / layout.TASKS
    return ArchivedAttempts(folder, blobs) if isinstance(blobs, ObjectBlobs) else Attempts(folder)


def make_marketplace(settings: Settings) -> Marketplace | None:
    """Return the Marketplace that users may look around in."""
    if settings.marketplace_url is None:
        return None
    return Marketplace(
        settings.marketplace_url,
        seconds=settings.marketplace_timeout_seconds,
        keep_seconds=settings.marketplace_cache_seconds,
    )


def make_users(settings: Settings, api: TaskApi, store: Store) -> Users:
    """Return those who may use the dashboard."""
    match settings.auth_mode:
        case AuthMode.NONE:
            return Everybody()
        case AuthMode.TOKEN:
            return TokenUsers(settings.read_auth_token)
        case AuthMode.KUBERNETES:
            return KubernetesUsers(
                api,
                namespaces=lambda: shown_namespaces(settings, store),
                clock=time.monotonic,
                seconds=settings.auth_cache_seconds,
            )


def make_senders(settings: Settings, api: IngestApi, *, token: str) -> Senders:
    """Return those who may send in."""
    if settings.ingest_auth is IngestAuth.TOKEN:
        return TokenSenders(token)
    return KubernetesSenders(
        api, operators=settings.ingest_operators, clock=time.monotonic, seconds=settings.auth_cache_seconds
    )


def make_log(settings: Settings) -> EventLog:
    """Return the event log: in memory for a dashboard that runs alone, in Redis where that is set."""
    bounds = Bounds(
        events=settings.ring_events,
        total_bytes=settings.ring_bytes,
        task_events=settings.ring_task_events,
        seconds=settings.ring_seconds,
        replay=settings.replay_limit,
    )
    url = settings.read_redis_url()
    if url is None:
        return MemoryLog(bounds=bounds, clock=time.monotonic)
    return RedisLog(connect(url), prefix=settings.redis_prefix, bounds=bounds, clock=time.monotonic)


def make_app(services: Services, *, ingest_token: str) -> FastAPI:
    """Return the application of a dashboard."""
    index = site.index_of(services.settings.static_dir)
    ended = history.History(services.settings.data_dir / "history", now=now)
    services.log.listeners.entries.append(ended.take)
    services.log.listeners.begins.append(ended.begin)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with contextlib.suppress(TimeoutError):  # looked at again and again afterwards; /readyz says how it is
            async with asyncio.timeout(STORE_SECONDS):
                await services.blobs.begin()
        async with history.kept(ended), running(services):
            yield
        services.attempts.close()
        if services.marketplace is not None:
            await services.marketplace.close()

    app = FastAPI(
        title="dify-repack",
        version=services.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    cast("Any", app).openapi = lambda: openapi.document(app)
    problems.install(app)
    app.state.users = services.users
    key_file = services.settings.data_dir / tickets.KEY_FILE
    if isinstance(services.blobs, ObjectBlobs):
        services.blobs.when_reached = functools.partial(tickets.share_key, key_file, services.blobs.agree)
    app.state.tickets = tickets.Tickets(
        services.users,
        key_file,
        seconds=services.settings.download_ticket_seconds,
        clock=time.time,
    )
    senders = make_senders(services.settings, services.senders_api, token=ingest_token)
    app.include_router(history.routes(services, ended), prefix=API)
    _add_routes(app, services, IngestGuard(senders), index)
    app.add_middleware(RequestGuard, services=services)
    app.add_middleware(site.GuardHeaders, policy=site.content_security_policy(index))
    return app


def bare_app() -> FastAPI:
    """Return an application of default settings whose interface can be read, and which can do nothing."""
    settings = Settings.model_construct(**{name: field.get_default(call_default_factory=True)
                                           for name, field in Settings.model_fields.items()})  # fmt: skip
    return make_app(make_services(settings, cast("TaskApi", None)), ingest_token="")


def _add_routes(app: FastAPI, services: Services, guard: IngestGuard, index: bytes) -> None:
    options: dict[str, Any] = {"prefix": API}
    for router in (
        status.api_routes(services),
        tasks.routes(services),
        logs.routes(services),
        sights.routes(services),
        catalog.routes(services),
        companions.routes(services),
        bundle.routes(services),
        storage.routes(services),
        tickets.routes(),
        artifacts.routes(services, guard),
        wheels.routes(services, guard),
        memory.routes(services, guard),
        ingest.routes(services, guard),
        results.routes(services, guard),
    ):
        for route in router.routes:
            if hasattr(route, "response_model_exclude_none"):
                route.response_model_exclude_none = True
        app.include_router(router, **options)
    app.include_router(realtime.routes(services))
    app.include_router(status.root_routes(services))

    @app.get("/docs", include_in_schema=False)
    async def interface() -> HTMLResponse:
        """Show the interface; made here, because a closed network reaches no other place."""
        return HTMLResponse(docs.page(app.openapi()))

    app.include_router(site.routes(services.settings.static_dir, index))
