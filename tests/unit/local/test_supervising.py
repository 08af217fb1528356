import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from repack_local.programs import Program, Supervisor
from repack_local.settings import Settings

SAYS_ITS_PID = "import os,time; open('pids','a').write(f'{os.getpid()}\\n'); time.sleep(60)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SAYS_ITS_PID}"


async def until(condition: Callable[[], bool], *, what: str, seconds: float = 10) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


def a_program(folder: Path, code: str) -> Program:
    (folder / "example_program.py").write_text(f"import os; os.chdir({str(folder)!r})\n{code}\n")
    environment = {"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent)}
    return Program("example", "example_program", environment, folder / "logs" / "example.log")


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_program_that_is_killed_is_started_again(tmp_path: Path):
    supervisor = Supervisor(a_program(tmp_path, SAYS_ITS_PID), stop_seconds=5)
    supervisor.start()
    try:
        await until(lambda: len(pids(tmp_path)) == 1, what="the first start")
        os.kill(pids(tmp_path)[0], signal.SIGKILL)
        await until(lambda: len(pids(tmp_path)) == 2, what="the second start")
        assert supervisor.pid == pids(tmp_path)[1]
    finally:
        await supervisor.stop()
    assert not any(is_alive(pid) for pid in pids(tmp_path))


async def test_a_program_that_does_not_end_when_asked_is_killed(tmp_path: Path):
    supervisor = Supervisor(a_program(tmp_path, IGNORES_SIGTERM), stop_seconds=0.3)
    supervisor.start()
    await until(lambda: len(pids(tmp_path)) == 1, what="the start")
    await supervisor.stop()
    assert not is_alive(pids(tmp_path)[0])


async def test_a_program_ends_with_a_supervisor_that_was_killed(tmp_path: Path):
    a_program(tmp_path, SAYS_ITS_PID)
    code = (
        "import asyncio, pathlib\n"
        "from repack_local.programs import Program, Supervisor\n"
        "async def main():\n"
        f"    folder = pathlib.Path({str(tmp_path)!r})\n"
        "    program = Program('p', 'example_program', {'PYTHONPATH': str(folder)}, folder / 'log')\n"
        "    Supervisor(program, stop_seconds=1).start()\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await until(lambda: len(pids(tmp_path)) == 1, what="the start")
    parent.kill()
    await parent.wait()
    await until(lambda: not is_alive(pids(tmp_path)[0]), what="the end of the orphan")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.10", "::"])
def test_the_embedded_mode_refuses_an_address_that_others_can_reach(host: str):
    with pytest.raises(ValidationError, match="loopback address only"):
        Settings(host=host)
