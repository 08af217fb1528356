"""Start the operator: `python -m repack_operator`. All settings come from the environment."""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from importlib.metadata import version

import structlog
from pydantic import ValidationError

from repack_kube.access import NoClusterError, find_access
from repack_kube.client import KubeCluster
from repack_operator.health import serve_health
from repack_operator.metrics import Metrics
from repack_operator.program import Program
from repack_operator.settings import Settings

log = structlog.get_logger()


def set_up_logging(settings: Settings) -> None:
    """Write structured lines to stderr; those of kopf and other libraries in the same form."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.types.Processor = structlog.processors.JSONRenderer()
    if settings.log_format == "console":
        last = structlog.dev.ConsoleRenderer()
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last], foreign_pre_chain=shared
    )
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        NoClusterError: nothing says where the API server is.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics(version=version("dify-repack"))
    async with AsyncExitStack() as stack:
        access = await find_access(kubeconfig=settings.kubeconfig)
        cluster = await stack.enter_async_context(
            KubeCluster(access, qps=settings.api_qps, burst=settings.api_burst, observer=metrics.call_made)
        )
        program = Program(access, cluster, settings, metrics)
        if settings.health_port is not None:
            health = serve_health(program.health, metrics, host=settings.health_host, port=settings.health_port)
            log.info("health and metrics are served", port=await stack.enter_async_context(health))
        log.info("the operator starts", server=access.server, namespaces=settings.namespaces or "all")
        await program.run(stop)
        log.info("the operator has stopped")


def main() -> int:
    """Return the exit code of the program."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(f"The settings are wrong: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings)
    try:
        asyncio.run(run(settings))
    except NoClusterError as error:
        log.error("no cluster", error=str(error), hint="Set REPACK_OPERATOR_KUBECONFIG, or run in a Pod.")
        return 1
    except Exception:
        log.exception("the operator ends because of a fault")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
