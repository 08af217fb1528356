"""`python -m repack_dashboard`: read the settings, connect to the cluster, serve."""

import asyncio
import logging
import sys
from collections.abc import Callable
from http import HTTPStatus

import structlog
from pydantic import ValidationError

from repack_dashboard.app import make_app, make_services
from repack_dashboard.background import drain
from repack_dashboard.rights import Rights
from repack_dashboard.server import make_server
from repack_dashboard.settings import Settings
from repack_kube.access import NoClusterError, find_access
from repack_kube.client import KubeCluster
from repack_kube.transport import CallMade
from repack_objects.errors import StoreError


def main() -> int:
    """Run until a signal ends it; 0 after a clean end, 2 when it cannot begin."""
    set_up_logging()
    try:
        settings = Settings()
        token = settings.read_ingest_token()
    except ValidationError as error:
        sentences = [str(part["msg"]).removeprefix("Value error, ") for part in error.errors()]
        names = [".".join(map(str, part["loc"])) for part in error.errors()]
        return _refuse(
            "; ".join(f"{name}: {text}" if name else text for name, text in zip(names, sentences, strict=True))
        )
    except ValueError as error:
        return _refuse(str(error))
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(serve(settings, token))
    except StoreError as error:
        return _refuse(f"{error.message} {error.hint}")
    except NoClusterError as error:
        return _refuse(f"{error}; set REPACK_DASHBOARD_KUBECONFIG")
    except KeyboardInterrupt:
        return 0


async def serve(settings: Settings, token: str) -> int:
    """Serve until a signal ends it."""
    access = await find_access(kubeconfig=settings.kubeconfig)
    rights: Rights | None = None

    def observe(call: CallMade) -> None:
        if rights is not None and call.code == HTTPStatus.FORBIDDEN:
            rights.refused()

    async with KubeCluster(access, observer=observe) as cluster:
        services = make_services(settings, cluster)
        services.rights = rights = Rights(cluster, settings)
        app = make_app(services, ingest_token=token)
        server = make_server(app, settings, drain=lambda: drain(services), owns_process=True)
        await server.serve()
    return 0 if server.started else 1


def set_up_logging() -> None:
    """Write one JSON object per line to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    # uvicorn's own lines would carry the query of each WebSocket; its errors are kept.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it is absent on some systems
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"repack_dashboard cannot start: {sentence}\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
