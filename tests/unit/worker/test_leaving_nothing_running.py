"""Whatever a command starts ends with it: under each isolation, however it hides, however the command itself ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.index import wait_until
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sources import an_sdist
from repack_contract.choices import VerificationMethod
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker import isolation as isolations
from repack_worker import reaper
from repack_worker.isolation import Isolation, probe
from repack_worker.processes import ProcessTimeoutError, run
from requirements import require, require_command

PYTHON = str(Path(sys.executable).resolve())
ENV = {"PATH": "/usr/bin:/bin"}
WAYS = {
    "processes": lambda prefix: "--pid" in prefix and "--map-root-user" not in prefix,
    "user": lambda prefix: "--pid" in prefix and "--map-root-user" in prefix,
    "namespace": lambda prefix: "--net" in prefix and "--pid" not in prefix and "--map-root-user" not in prefix,
    "filter": lambda prefix: any(word.endswith("seccomp.py") for word in prefix),
    "flags": lambda prefix: not prefix,
}


@pytest.fixture(params=WAYS)
async def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Each way to keep the network away that this machine has, with and without a namespace of processes."""
    [one] = [one for one in isolations._candidates() if WAYS[request.param](one.prefix)]
    if one.method is not VerificationMethod.OFFLINE_FLAGS:
        works, said = await probe(one)
        require(works, f"needs CAP_SYS_ADMIN, or user namespaces, or seccomp: {said}")
    return one


@pytest.fixture
def mark() -> Iterator[str]:
    """The name of a process that a test leaves; none is there when the test is over, also when it fails."""
    name = f"left-{uuid.uuid4().hex[:12]}"
    yield name
    for process in named(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def named(mark: str) -> list[int]:
    """Return the processes whose command line has the mark; one that ended, and was not asked how, has none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def leaving(mark: str, *, then: str = "", hold: bool = False) -> str:
    """Return code that leaves a process: forked twice, in a session of its own, its files closed or held."""
    closing = "" if hold else "os.closerange(0, told); os.closerange(told + 1, 64)"
    return f"""
import os, time
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {closing or "pass"}
        os.execv({PYTHON!r}, [{mark!r}, "-I", "-S", "-c", "import time; time.sleep(50)", {mark!r}])
    os._exit(0)
os.close(told)
os.read(ready, 1)  # its end, once the process has its name: the other side is closed by exec
{then}
"""


def python(code: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", code]


async def test_a_process_with_a_session_of_its_own_ends_with_the_command(isolation, mark):
    finished = await isolation.run(python(leaving(mark, then="print('done')")), env=ENV, timeout_seconds=20)
    assert (finished.code, finished.output) == (0, "done")
    assert named(mark) == []


async def test_a_pipe_that_is_held_open_does_not_keep_us_waiting(isolation, mark):
    code = leaving(mark, hold=True, then="print('done')")
    finished = await isolation.run(python(code), env=ENV, timeout_seconds=20)
    assert finished.output == "done"
    assert named(mark) == []


async def test_nor_where_nothing_ends_who_holds_it(mark):
    """As git or uv run, of which nothing is expected."""
    finished = await run(python(leaving(mark, hold=True, then="print('done')")), env=ENV, timeout_seconds=20)
    assert finished.output == "done"


async def test_it_ends_when_the_command_takes_too_long(isolation, mark):
    with pytest.raises(ProcessTimeoutError):
        await isolation.run(python(leaving(mark, then="time.sleep(50)")), env=ENV, timeout_seconds=2)
    wait_until(lambda: named(mark) == [], what="what was left to be gone")


async def test_it_ends_when_the_attempt_is_cancelled(isolation, mark):
    told = leaving(mark, then="print('left', flush=True)\ntime.sleep(50)")
    left = asyncio.Event()
    task = asyncio.create_task(
        isolation.run(python(told), env=ENV, timeout_seconds=50, on_line=lambda _line: left.set())
    )
    async with asyncio.timeout(20):
        await left.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until(lambda: named(mark) == [], what="what was left to be gone")


OURS = """
import asyncio, sys
from repack_contract.choices import VerificationMethod
from repack_worker import isolation
at = int(sys.argv[1])
one = isolation._candidates()[at]
asyncio.run(one.run(sys.argv[2:], env={"PATH": "/usr/bin:/bin"}, timeout_seconds=50, on_line=print))
"""


def test_it_ends_when_we_are_killed(isolation, mark):
    require_command("setpriv", install="apt-get install util-linux")
    at = isolations._candidates().index(isolation)
    command = python(leaving(mark, then="print('left', flush=True)\ntime.sleep(50)"))
    with subprocess.Popen([sys.executable, "-u", "-c", OURS, str(at), *command], stdout=subprocess.PIPE) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == b"left\n"
        wait_until(lambda: named(mark), what="its name, which the kernel gives it at the end of exec")
        ours.kill()
    wait_until(lambda: named(mark) == [], what="what was left to be gone")


FLEEING = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 64)
    while True:
        if os.fork():
            os._exit(0)
"""


async def test_what_flees_by_forking_is_caught(isolation, mark):
    finished = await isolation.run([*python(FLEEING), mark], env=ENV, timeout_seconds=20)
    assert finished.code == 0
    assert named(mark) == []


async def test_a_command_that_ends_leaves_those_of_another_alone(isolation, mark):
    other = f"{mark}-other"
    told = asyncio.Event()
    holding = asyncio.create_task(
        isolation.run(
            python(leaving(other, then="print('left', flush=True)\ntime.sleep(50)")),
            env=ENV, timeout_seconds=50, on_line=lambda _line: told.set(),
        )
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            await told.wait()
        await isolation.run(python(leaving(mark)), env=ENV, timeout_seconds=20)
        assert named(mark) == []
        wait_until(lambda: named(other), what="its name, which the kernel gives it at the end of exec")
    finally:
        holding.cancel()
        await asyncio.wait([holding])
    wait_until(lambda: named(other) == [], what="what the other left to be gone")


async def test_a_command_ends_as_it_would_alone(isolation, mark):
    finished = await isolation.run(python("import sys; sys.exit(7)"), env=ENV, timeout_seconds=20)
    assert finished.code == 7
    if "--pid" in isolation.prefix:
        return  # unshare ends with 1 when what it runs was killed (util-linux 2.38)
    command = [*python("import time; print('here', flush=True); time.sleep(50)"), mark]

    def kill(_line: str) -> None:
        os.kill(max(named(mark)), signal.SIGKILL)  # as the kernel does for want of memory; its helpers came before it

    with pytest.raises(RepackError) as caught:
        await isolation.run(command, env=ENV, timeout_seconds=20, on_line=kill)
    assert caught.value.reason is Reason.OOM_KILLED


def test_children_are_found_on_a_kernel_that_does_not_list_them(monkeypatch):
    read = reaper._read
    monkeypatch.setattr(reaper, "_read", lambda path: None if path.endswith("/children") else read(path))
    with subprocess.Popen(["/bin/sleep", "50"]) as child:
        assert child.pid in reaper._children()
        assert os.getppid() not in reaper._children()
        child.kill()


@pytest.mark.parametrize("method", [one for one in VerificationMethod if one is not VerificationMethod.CROSS_INSTALL])
async def test_a_build_and_an_import_leave_nothing(tmp_path, index, pack, settings, mark, method):
    """The whole attempt, with each method that this machine has."""
    if method is VerificationMethod.NETWORK_NAMESPACE:
        works = [(await probe(one))[0] for one in isolations._candidates() if one.method is method]
        require(any(works), "needs CAP_SYS_ADMIN or user namespaces")
    imported = f"{mark}-imported"
    body = leaving(mark) + f"files['tiny_sdk/__init__.py'] = {leaving(imported)!r}.encode()\n"
    index.add(source := an_sdist("tiny-sdk", body=body))
    plugin = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": a_lock(index, source)}
    package = a_package(tmp_path / "tiny.difypkg", plugin)
    result = await pack(package, settings=settings.but(isolation=method))
    assert result.ok, result.message
    assert named(mark) == []
    assert named(imported) == []
