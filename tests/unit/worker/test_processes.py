"""Child processes: they end, with all their children, whatever they do."""

import asyncio
import signal
import sys
import threading
from pathlib import Path

import pytest

from fakes.index import wait_until
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.threads import in_thread

ENV = {"PATH": "/usr/bin:/bin"}
WITH_A_CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # ended; nobody has asked how yet


async def test_lines_come_while_the_process_runs(tmp_path):
    lines: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    finished = await run([sys.executable, "-u", "-c", code], env=ENV, timeout_seconds=20, on_line=lines.append)
    assert (finished.code, finished.output, lines) == (3, "one\ntwo", ["one", "two"])


async def test_only_the_composed_environment_reaches_the_child(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "x")
    finished = await run(["/usr/bin/env"], env={"A": "1"}, timeout_seconds=20)
    assert finished.output == "A=1"


async def test_a_process_that_takes_too_long_is_killed_with_its_children(tmp_path):
    with pytest.raises(ProcessTimeoutError):
        await run([sys.executable, "-c", WITH_A_CHILD, tmp_path / "pid"], env=ENV, timeout_seconds=1.5)
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(child), what="the grandchild to be gone")


async def test_cancelling_kills_the_process_and_its_children(tmp_path):
    task = asyncio.create_task(run([sys.executable, "-c", WITH_A_CHILD, tmp_path / "pid"], env=ENV, timeout_seconds=50))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(child), what="the grandchild to be gone")


async def test_a_process_that_something_else_killed_ran_out_of_memory():
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    with pytest.raises(RepackError) as caught:
        await run([sys.executable, "-c", code], env=ENV, timeout_seconds=20)
    assert caught.value.reason is Reason.OOM_KILLED


async def test_endless_output_on_one_line_does_not_grow_in_memory():
    code = "import sys\nfor _ in range(200): sys.stdout.write('x' * 100_000)\nprint()\nprint('end')"
    finished = await run([sys.executable, "-c", code], env=ENV, timeout_seconds=20)
    assert finished.lines[-1] == "end"
    assert max(map(len, finished.lines)) <= 8000


async def test_a_cancelled_task_waits_for_its_thread_before_it_is_gone():
    started, released, done = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        released.wait(20)
        done.set()

    task = asyncio.create_task(in_thread(slow))
    assert await asyncio.to_thread(started.wait, 20)
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()
