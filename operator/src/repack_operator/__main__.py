"""Start the operator: `python -m repack_operator`. All settings come from the environment."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import structlog
from pydantic import ValidationError

from repack_contract import VERSION
from repack_kube.access import Access, NoClusterError, find_access, own_namespace
from repack_kube.client import KubeCluster
from repack_operator.election import Election, Terms
from repack_operator.health import Health, serve_health
from repack_operator.metrics import Metrics
from repack_operator.replica import Replica
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
    metrics = Metrics(version=VERSION)
    async with AsyncExitStack() as stack:
        access = await find_access(kubeconfig=settings.kubeconfig)
        replica = await stack.enter_async_context(make_replica(access, settings, metrics))
        if settings.health_port is not None:
            health = serve_health(replica.health, metrics, host=settings.health_host, port=settings.health_port)
            log.info("health and metrics are served", port=await stack.enter_async_context(health))
        log.info("the operator starts", server=access.server, namespaces=settings.namespaces or "all")
        await replica.run(stop)
        log.info("the operator has stopped")


@asynccontextmanager
async def make_replica(access: Access, settings: Settings, metrics: Metrics) -> AsyncIterator[Replica]:
    """Yield the replica with its connections: what a leader writes goes through a fence, the Lease itself does not."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            KubeCluster(access, qps=settings.api_qps, burst=settings.api_burst, observer=metrics.call_made)
        )
        if not settings.leader_election:
            yield Replica(access, cluster, settings, metrics)
            return
        own = await stack.enter_async_context(
            KubeCluster(access, timeout_seconds=settings.lease_retry_seconds * 2, observer=metrics.call_made)
        )

        def elect(health: Health) -> Election:
            election = Election(own, terms_of(settings), heard=health.heard)
            cluster.write_only_while(lambda: election.leads)
            return election

        yield Replica(access, cluster, settings, metrics, elect=elect)


def terms_of(settings: Settings) -> Terms:
    """Return the terms of the election.

    Raises:
        NoClusterError: the namespace of the Lease is neither set nor that of a Pod.
    """
    return Terms(
        namespace=settings.lease_namespace or own_namespace(),
        name=settings.lease_name,
        identity=f"{settings.identity or socket.gethostname()}_{uuid4().hex[:8]}",
        lease_seconds=settings.lease_seconds,
        renew_seconds=settings.lease_renew_seconds,
        retry_seconds=settings.lease_retry_seconds,
    )


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
        log.error(
            "no cluster",
            error=str(error),
            hint="Set REPACK_OPERATOR_KUBECONFIG and REPACK_OPERATOR_LEASE_NAMESPACE, or run in a Pod.",
        )
        return 1
    except Exception:
        log.exception("the operator ends because of a fault")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
