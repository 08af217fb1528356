"""The measurements. Whatever is compared is measured in pairs of one run, the sides taking turns."""

import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from load import Load, SendLoop, Stats, Tools
from servers import TOKEN, Ours, broadcasting, naive, ours, resident_bytes

from repack_dashboard.frames import text_frame

PAYLOAD_BYTES = 300
OURS, PEER = "ours", "C send() loop"
SIDES = {PEER: "", OURS: "", "websockets.broadcast": "", "naive FastAPI loop": ""}
Act = Callable[[], Awaitable[None]]


@dataclass
class Series:
    """One side's rounds."""

    cpu: list[float] = field(default_factory=list)
    """Processor seconds of the server process per message delivered."""
    last: list[float] = field(default_factory=list)
    """Seconds until the last client had it."""


@dataclass(frozen=True)
class FanOut:
    """One size: all sides' rounds, in pairs."""

    clients: int
    sides: dict[str, Series]

    def cpu_ratio(self, side: str) -> float:
        """Return the median of the pairs' ratios to the C loop."""
        pairs = zip(self.sides[side].cpu, self.sides[PEER].cpu, strict=True)
        return statistics.median(mine / peer for mine, peer in pairs)

    def last_ratio(self, side: str) -> float:
        """Return the median of the pairs' ratios of the time until the last client has it."""
        pairs = zip(self.sides[side].last, self.sides[PEER].last, strict=True)
        return statistics.median(mine / peer for mine, peer in pairs)


def message() -> dict[str, object]:
    """Return a message whose JSON has 300 bytes."""
    short = {"type": "task.progress", "seq": 123456, "gseq": 1234567, "data": ""}
    return short | {"data": "x" * (PAYLOAD_BYTES - len(as_json(short)))}


def as_json(value: dict[str, object]) -> str:
    """Return the JSON as starlette writes it."""
    return json.dumps(value, separators=(",", ":"))


async def measure_fan_out(
    tools: Tools, folder: Path, *, sizes: list[int], rounds: int, core: int | None
) -> list[FanOut]:
    """Write one message to N clients, each side in turn."""
    largest, frame, text = max(sizes), text_frame(as_json(message()).encode()), as_json(message())
    async with AsyncExitStack() as stack:
        uids = [f"n{size}" for size in sizes]
        dashboard = await stack.enter_async_context(ours(folder, uids=uids, tick_seconds=0, heartbeat_interval=3600))
        library = await stack.enter_async_context(broadcasting())
        tutorial = await stack.enter_async_context(naive())
        load = await stack.enter_async_context(Load(tools, core=core))
        for size in sizes:
            await load.open(dashboard.port, f"/ws/tasks/n{size}?v=1", size)
        await load.open(library.port, "/", largest)
        await load.open(tutorial.port, "/ws", largest)
        await asyncio.sleep(1.0)
        gc.collect()
        gc.freeze()
        found = []
        for size in sizes:
            channel = f"task:n{size}"
            loop = SendLoop(tools, dashboard.sockets(channel))
            acts: dict[str, Act] = {
                PEER: _sync(loop, frame),
                OURS: _sync(lambda data, to=channel: dashboard.services.hub.tell(to, data, kind="bench"), frame),
                "websockets.broadcast": _sync(lambda data, count=size: library.send(data, count), text),
                "naive FastAPI loop": lambda count=size: tutorial.send(message(), count),
            }
            found.append(await _compare(load, acts, clients=size, rounds=rounds))
        return found


def _sync(act: Callable[..., object], argument: object) -> Act:
    async def do() -> None:
        act(argument)

    return do


async def _compare(load: Load, acts: dict[str, Act], *, clients: int, rounds: int) -> FanOut:
    sides = {name: Series() for name in acts}
    repeats = max(1, 2000 // clients)  # what reading the clients' answer costs must not count
    for number in range(rounds + 10):  # the first ten warm up the kernel's connections
        for name, act in acts.items():
            await load.expect(clients * repeats)
            began, cpu = time.monotonic_ns(), time.process_time()
            for _ in range(repeats):
                await act()
                for _ in range(clients // 256 + 3 if repeats > 1 else 0):
                    await asyncio.sleep(0)  # else the transports would join the writes
            last = await load.done()
            spent = time.process_time() - cpu
            if number >= 10:
                sides[name].cpu.append(spent / clients / repeats)
                sides[name].last.append((last - began) / 1e9 / repeats)
    return FanOut(clients, sides)


@dataclass(frozen=True)
class Batching:
    """Delivered messages with tick batching."""

    clients: int
    joined: int
    per_second: float
    cpu: float
    """Processor seconds per message."""


async def measure_batching(
    tools: Tools, folder: Path, *, sizes: list[int], rounds: int, core: int | None
) -> list[Batching]:
    """Publish 10 and 50 messages per tick, as it is set by default, and the next ones when all have these."""
    frame = text_frame(as_json(message()).encode())
    async with (
        ours(folder, uids=[f"n{size}" for size in sizes], heartbeat_interval=3600) as dashboard,
        Load(tools, core=core) as load,
    ):
        for size in sizes:
            await load.open(dashboard.port, f"/ws/tasks/n{size}?v=1", size)
        await asyncio.sleep(1.0)
        found = []
        for size in sizes:
            for joined in (10, 50):
                found.append(await _batches(load, dashboard, frame, clients=size, joined=joined, rounds=rounds))  # noqa: PERF401
        return found


async def _batches(load: Load, dashboard: Ours, frame: bytes, *, clients: int, joined: int, rounds: int) -> Batching:
    channel, hub = f"task:n{clients}", dashboard.services.hub
    began, cpu, first = 0.0, 0.0, True
    for number in range(rounds + 5):
        if number == 5:
            began, cpu = time.monotonic(), time.process_time()
        await load.expect(clients * (joined + first))
        for _ in range(joined + first):  # the very first goes by itself and begins the ticks
            hub.tell(channel, frame, kind="bench")
        await load.done()
        first = False
    seconds, spent, messages = time.monotonic() - began, time.process_time() - cpu, rounds * clients * joined
    return Batching(clients, joined, messages / seconds, spent / messages)


@dataclass(frozen=True)
class Path2Browser:
    """From a worker's HTTP request to the clients."""

    clients: int
    per_second: int
    stats: Stats
    loop_p99_us: float
    sent: int


async def measure_ingest(
    tools: Tools, folder: Path, *, clients: int, per_second: int, seconds: int, core: int | None
) -> Path2Browser:
    """Let a sender in its own process report progress over HTTP; measure until the clients have read it."""
    uids = [f"u{number}" for number in range(20)]
    async with ours(folder, uids=uids) as dashboard, Load(tools, core=core) as load:
        await load.open(dashboard.port, "/ws/tasks?v=1", clients)
        await asyncio.sleep(1.0)
        await load.measure_latency()
        delays: list[float] = []
        watch = asyncio.create_task(_watch_loop(delays))
        sender = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("sender.py")), str(dashboard.port), TOKEN,
            str(per_second), str(seconds), *uids,
        )  # fmt: skip
        if await sender.wait() != 0:
            raise RuntimeError("the sender failed")
        await asyncio.sleep(0.5)
        watch.cancel()
        stats = await load.stats()
        return Path2Browser(
            clients, per_second, stats, statistics.quantiles(delays, n=100)[98] * 1e6, per_second * seconds
        )


async def _watch_loop(delays: list[float]) -> None:
    while True:  # until it is cancelled
        began = time.monotonic()
        await asyncio.sleep(0.01)
        delays.append(time.monotonic() - began - 0.01)


@dataclass(frozen=True)
class Held:
    """Idle connections of a server in a process of its own."""

    clients: int
    seconds: float
    bytes_each: float
    growth_bytes: int
    """What the memory grew by while they were held."""
    cpu: float
    """The server's share of a core while they were held."""
    stats: Stats


async def measure_held(tools: Tools, *, clients: int, seconds: float, core: int | None) -> Held:
    """Connect clients that do nothing but answer pings, and hold them."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).parent), "--serve", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        async with Load(tools, core=core) as load:
            await load.open(port, "/ws/tasks?v=1", 100)  # what is made once is not the connections'
            await asyncio.sleep(0.5)
            empty = resident_bytes(server.pid)
            for _ in range(0, clients, 1000):
                await load.open(port, "/ws/tasks?v=1", 1000)
            await asyncio.sleep(2.0)
            full, cpu, began = resident_bytes(server.pid), _cpu_of(server.pid), time.monotonic()
            while time.monotonic() - began < seconds:
                await asyncio.sleep(min(5.0, seconds))
                if (now := await load.stats()).lost:
                    raise RuntimeError(f"{now.lost} connections were lost after {time.monotonic() - began:.0f} s")
            stats, took = await load.stats(), time.monotonic() - began
            after, spent = resident_bytes(server.pid), _cpu_of(server.pid) - cpu
        return Held(stats.open, took, (full - empty) / (stats.open - 100), after - full, spent / took, stats)
    finally:
        server.kill()
        await server.wait()


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
