"""The two parts of the soak: a long time with churn and faults, and storms of clients that come back all at once."""

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from network import Network
from processes import Program, free_port, start_clients, start_server
from publisher import Publisher
from report import Held, Rest, Storm
from server import FIXED

QUICK = {
    "reconnectInterval": 200, "maxReconnectInterval": 2_000, "heartbeatInterval": 2_000, "heartbeatTimeout": 2_000,
    "connectTimeout": 3_000, "maxReconnectAttempts": 1_000,
}  # fmt: skip
"""Timers of the clients while lines break; short, so that ten minutes hold many lives."""
PAGE = {"reconnectInterval": 1_000, "maxReconnectAttempts": 1_000}
"""Timers of the clients of a storm: those of our page."""


async def hold(folder: Path, rng: random.Random, *, clients: int, seconds: float, per_second: float) -> Held:
    """Let clients come and go behind a network that breaks; let all of it rest about ten times, and compare."""
    port = free_port()
    server = await start_server(port, folder)
    publisher = Publisher(port, rng)
    held = Held(clients=clients, seconds=seconds)
    try:
        async with Network(port, rng) as network:
            viewers = await start_clients(network.port, FIXED[0], **QUICK)
            held.before = await server.ask("")
            await viewers.ask(f"open {clients}")
            await _all_see_the_same(server, viewers, clients, seconds=30)
            began = time.monotonic()
            while (left := seconds - (time.monotonic() - began)) > 0:
                async with _trouble(network, viewers, publisher, per_second=per_second):
                    await asyncio.sleep(min(left, max(5.0, seconds / 10)))
                held.rests.append(await _all_see_the_same(server, viewers, clients, seconds=40))
                _say(f"{time.monotonic() - began:.0f} s: {held.rests[-1].told}")
            held.counts = await viewers.ask("view")
            held.faults, held.events = dict(network.faults), publisher.events
            held.slow = await _metric(publisher, "repack_ws_slow_consumers_total")
            held.coalesced = await _metric(publisher, "repack_ws_coalesced_total")
            await viewers.ask("close")
            await viewers.end()
        await publisher.close()
        held.after = await _empty(server, like=held.before)
        log = (folder / "server.log").read_text(encoding="utf-8")
        held.errors = [line[:300] for line in log.splitlines() if "Error" in line or "[error" in line]
    finally:
        await server.end()
    return held


@contextlib.asynccontextmanager
async def _trouble(
    network: Network, viewers: Program, publisher: Publisher, *, per_second: float
) -> AsyncIterator[None]:
    """Let things happen and break until the block ends."""
    await viewers.ask("churn 1")
    work = [asyncio.create_task(publisher.run(per_second=per_second)), asyncio.create_task(network.misbehave())]
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        for ended in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        await viewers.ask("churn 0")
        network.heal()


async def _all_see_the_same(server: Program, viewers: Program, clients: int, *, seconds: float) -> Rest:
    """Wait until each client has one socket and shows what the server knows; or until the time is over."""
    began = time.monotonic()
    while True:  # ends with the deadline
        view, told = await viewers.ask("view"), await server.ask("")
        wrong = _wrong(view, told["truth"])
        took = time.monotonic() - began
        is_right = not wrong and view["connected"] == told["clients"] == clients
        if is_right or took > seconds:
            return Rest(is_right=is_right, took=took, wrong=wrong, connected=view["connected"], told=_brief(told))
        await asyncio.sleep(0.25)


def _wrong(view: dict[str, Any], truth: dict[str, Any]) -> int:
    """Return how many clients show something else than the truth of their channel."""
    wrong = 0
    for shown, count in view["views"].items():
        kind, _, tasks = shown.partition("|")
        right = truth if kind == "tasks" else {FIXED[0]: truth[FIXED[0]]}
        wrong += 0 if dict(json.loads(tasks)) == right else count
    return wrong


async def _empty(server: Program, *, like: dict[str, Any]) -> dict[str, Any]:
    """Wait until nothing of the clients is left in the server."""
    deadline = time.monotonic() + 30
    while True:  # ends with the deadline
        told = await server.ask("")
        is_clean = told["clients"] == 0 and told["tasks"] <= like["tasks"] and told["fds"] <= like["fds"]
        if is_clean or time.monotonic() > deadline:
            return _brief(told)
        await asyncio.sleep(0.25)


async def storm(folder: Path, rng: random.Random, *, clients: int) -> list[Storm]:
    """Restart the server under clients that are connected directly: in good order, then by killing it."""
    port = free_port()
    server = await start_server(port, folder)
    viewers = await start_clients(port, FIXED[0], **PAGE)
    storms = []
    try:
        await viewers.ask(f"open {clients}")
        await _all_see_the_same(server, viewers, clients, seconds=120)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            before = await viewers.ask("view")
            began = time.monotonic()
            ending = await server.end(sign)
            server = await start_server(port, folder)
            publisher = Publisher(port, rng)
            probe = asyncio.create_task(_slowest_answer(publisher))
            rest = await _all_see_the_same(server, viewers, clients, seconds=180)
            slowest, took = await _stopped(probe), time.monotonic() - began
            await publisher.some(50)
            after = await _all_see_the_same(server, viewers, clients, seconds=60)
            view = await viewers.ask("view")
            closes = {code: n - before["closes"].get(code, 0) for code, n in view["closes"].items()}
            storms.append(Storm(sign.name, clients, ending, took, slowest, rest, after, closes))
            await publisher.close()
            _say(f"storm after {sign.name}: {took:.1f} s")
    finally:
        await viewers.end()
        await server.end()
    return storms


async def _slowest_answer(publisher: Publisher) -> float:
    """Ask for the server's health until cancelled; return the longest time that an answer took."""
    slowest = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:  # until it is cancelled
            began = time.monotonic()
            await publisher.text("/healthz")
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)
    return slowest


async def _stopped(probe: "asyncio.Task[float]") -> float:
    probe.cancel()
    return await probe


async def _metric(publisher: Publisher, name: str) -> float:
    lines = (await publisher.text("/metrics")).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _brief(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key != "truth"}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
