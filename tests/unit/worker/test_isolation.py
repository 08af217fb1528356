"""No network: each method is proved on real processes, and a method that does not hold is not used."""

import os
import socket
import sys
from pathlib import Path

import pytest

from repack_contract.choices import VerificationMethod
from repack_contract.errors import RepackError
from repack_worker import landlock, seccomp
from repack_worker.confinement import confined
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation, choose_isolation, probe
from repack_worker.processes import run
from requirements import require

ENFORCED = [VerificationMethod.SECCOMP_FILTER, VerificationMethod.NETWORK_NAMESPACE]
REAL_PYTHON = Path(sys.executable).resolve()
ENV = {"PATH": "/usr/bin:/bin"}


async def isolation_by(method: VerificationMethod) -> Isolation:
    try:
        return await choose_isolation(method)
    except RepackError as error:
        require(method is VerificationMethod.SECCOMP_FILTER, f"needs CAP_SYS_ADMIN or user namespaces: {error.message}")
        raise


@pytest.mark.parametrize("method", ENFORCED)
async def test_a_child_cannot_reach_a_socket_that_listens(method):
    works, said = await probe(await isolation_by(method))
    assert works, said


async def test_a_method_that_lets_the_network_through_is_found_out():
    works, said = await probe(Isolation(VerificationMethod.NETWORK_NAMESPACE))
    assert not works
    assert "reached the network" in said


async def test_a_method_that_cannot_run_at_all_is_not_used():
    works, _ = await probe(Isolation(VerificationMethod.NETWORK_NAMESPACE, prefix=("/no/such/program",)))
    assert not works


async def filtered(code: str) -> tuple[int, str]:
    isolation = await isolation_by(VerificationMethod.SECCOMP_FILTER)
    finished = await run(isolation.wrap([sys.executable, "-I", "-c", code]), env=ENV, timeout_seconds=20)
    return finished.code, finished.output


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_PACKET", "AF_VSOCK"])
async def test_the_filter_refuses_network_sockets_with_eacces(family):
    code, output = await filtered(f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM)")
    assert code == 1
    assert "PermissionError: [Errno 13]" in output


async def test_the_filter_allows_local_sockets():
    code, output = await filtered("import socket; socket.socketpair(); socket.socket(socket.AF_UNIX)")
    assert (code, output) == (0, "")


async def test_grandchildren_inherit_the_filter():
    inner = "import socket; socket.socket()"
    code, output = await filtered(
        f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-I', '-c', {inner!r}]).returncode)"
    )
    assert code == 1
    assert "PermissionError" in output


async def test_the_filter_refuses_io_uring():
    code, output = await filtered(
        "import ctypes; c = ctypes.CDLL(None, use_errno=True);"
        f"print(c.syscall({seccomp._IO_URING_SETUP}, 1, None), ctypes.get_errno())"
    )
    assert (code, output) == (0, "-1 13")


UNIX, NETLINK, INET = 1, 16, 2
ALLOWED, REFUSED = True, False


def decision(machine: str, *, architecture: int, number: int, family: int) -> bool:
    """Run the filter's program as the kernel would."""
    instructions, accumulator, at = seccomp.program(machine), 0, 0
    data = {seccomp._ARCHITECTURE: architecture, seccomp._NUMBER: number, seccomp._FIRST_ARGUMENT: family}
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == seccomp._LOAD:
            accumulator = data[value]
        elif code == seccomp._RETURN:
            return value == seccomp._ALLOW
        else:
            holds = accumulator == value if code == seccomp._JUMP_EQUAL else accumulator >= value
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("what", "family", "answer"),
    [("socket", UNIX, ALLOWED), ("socket", NETLINK, ALLOWED), ("socket", INET, REFUSED), ("read", INET, ALLOWED),
     ("io_uring", UNIX, REFUSED), ("foreign", UNIX, REFUSED)],
)  # fmt: skip
def test_the_program_decides_alike_on_both_machines(machine, what, family, answer):
    architecture, socket = seccomp._MACHINES[machine]
    number = {"socket": socket, "read": 63, "io_uring": 425, "foreign": 1}[what]
    if what == "foreign":
        architecture = 0x40000003  # i386, whose calls have other numbers
    assert decision(machine, architecture=architecture, number=number, family=family) is answer


def test_x32_calls_are_refused():
    architecture, socket = seccomp._MACHINES["x86_64"]
    assert not decision("x86_64", architecture=architecture, number=0x40000000 + socket, family=UNIX)


def test_an_unknown_machine_has_no_filter():
    with pytest.raises(seccomp.UnsupportedMachineError):
        seccomp.program("riscv64")


LOOK = """
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=3).close()
        print("reached")
    except OSError as error:
        print(error.strerror)
"""


async def test_a_confined_program_connects_to_the_ports_it_was_given_and_to_no_other(tmp_path):
    require(landlock.version() >= 4, "keeping a program from other ports needs Landlock 4 (Linux 6.7)")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [server.getsockname()[1] for server in (one, other)]
        interpreter = Interpreter(REAL_PYTHON, "")
        command = [REAL_PYTHON, "-I", "-S", "-c", LOOK, *map(str, ports)]
        command = confined(command, interpreter=interpreter, write=[tmp_path], connect=ports[:1])
        finished = await run(command, env=ENV, timeout_seconds=20)
    assert finished.lines == ("reached", "Permission denied")


async def test_a_confined_program_sends_no_signal_to_others(tmp_path):
    require(landlock.version() >= 6, "keeping signals from others needs Landlock 6 (Linux 6.12)")
    code = "import os, sys\ntry:\n    os.kill(int(sys.argv[1]), 0)\nexcept OSError as error:\n    print(error.strerror)"
    interpreter = Interpreter(REAL_PYTHON, "")
    command = confined(
        [REAL_PYTHON, "-I", "-S", "-c", code, str(os.getpid())], interpreter=interpreter, write=[tmp_path]
    )
    finished = await run(command, env=ENV, timeout_seconds=20)
    assert finished.lines == ("Operation not permitted",)
