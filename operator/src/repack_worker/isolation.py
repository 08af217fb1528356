"""A command without a network. Three ways, the strongest that works here is used, and each must prove itself first.

Whatever a command leaves running ends with it, also what made a session of its own: by a namespace of processes where
there is one, else by `reaper.py`.

The proof: a child process under the method tries to reach a socket on which we really listen. If it gets through, or
if nobody can, the method is not used, so the name that ends in `verification.method` is true.
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repack_contract.choices import VerificationMethod
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.processes import Finished, ProcessTimeoutError, run

_PROBE = """
import socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=3).close()
except OSError as error:
    print(error.strerror or error)
    sys.exit(42)
"""
_REFUSED = 42
_FILTER = Path(__file__).with_name("seccomp.py")
"""Run as a file of its own, never imported: it takes the network from the process that it runs in."""
_SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
_OWN_PROCESSES = ("--pid", "--fork", "--kill-child")
"""Options of unshare: a namespace of processes, which the kernel ends with the first of them."""
_DEAD_PROXY = "http://127.0.0.1:9"
"""The discard port of a host that is always there and listens to nothing."""


@dataclass(frozen=True)
class Isolation:
    """One way to run a command without a network."""

    method: VerificationMethod
    prefix: tuple[str, ...] = ()
    """Words before the command."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to add to the command's own."""
    proof: str = ""
    """What refused the probe, such as `Network is unreachable`."""

    def wrap(self, command: Sequence[str | Path]) -> list[str]:
        """Return the command line to run in place of `command`."""
        return [*self.prefix, *map(str, command)]

    async def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a command under the method, as `processes.run` does; nothing that it starts outlives it."""
        own_processes = _OWN_PROCESSES[0] in self.prefix
        return await run(
            [*(_tied_to_us() if own_processes else ()), *self.wrap(command)], env={**self.environment, **env},
            timeout_seconds=timeout_seconds, cwd=cwd, on_line=on_line, reaped=not own_processes,
        )  # fmt: skip


def _tied_to_us() -> tuple[str, ...]:
    """Return the words before unshare with which it ends when we are killed; the reaper sees to that itself."""
    setpriv = shutil.which("setpriv", path=_SYSTEM_PATH)
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


def _candidates() -> tuple[Isolation, ...]:
    # By its path: it is looked for in the child's PATH, where a build's requirements may have put one of their own.
    unshare = shutil.which("unshare", path=_SYSTEM_PATH) or "/usr/bin/unshare"
    namespace, filtered = VerificationMethod.NETWORK_NAMESPACE, VerificationMethod.SECCOMP_FILTER
    return (
        *(
            Isolation(namespace, prefix=(unshare, *user, "--net", *processes, "--"))
            for user in ((), ("--map-root-user",))
            for processes in (_OWN_PROCESSES, ())
        ),
        Isolation(filtered, prefix=(sys.executable, "-I", str(_FILTER))),
        Isolation(
            VerificationMethod.OFFLINE_FLAGS,
            environment={
                "UV_OFFLINE": "1", "PIP_NO_INDEX": "1",
                "HTTP_PROXY": _DEAD_PROXY, "HTTPS_PROXY": _DEAD_PROXY, "ALL_PROXY": _DEAD_PROXY,
            },
        ),
    )  # fmt: skip


async def choose_isolation(forced: VerificationMethod | None = None) -> Isolation:
    """Return the strongest method that proved itself, or the forced one; raise when that one does not work here."""
    refusals = []
    for candidate in _candidates():
        if forced and candidate.method is not forced:
            continue
        if candidate.method is VerificationMethod.OFFLINE_FLAGS:
            return Isolation(
                candidate.method, environment=candidate.environment, proof="not enforced: flags and a dead proxy only"
            )
        works, said = await probe(candidate)
        if works:
            return Isolation(candidate.method, prefix=candidate.prefix, proof=said)
        refusals.append(f"{' '.join(candidate.prefix[:2])}: {said}")
    why = f" ({'; '.join(refusals)})" if refusals else ""
    raise RepackError(
        Reason.VERIFICATION_FAILED,
        f"The verification method {forced} does not work here{why}.",
        hint="Leave REPACK_ISOLATION out, so that the strongest method that works is used.",
    )


async def probe(isolation: Isolation) -> tuple[bool, str]:
    """Tell whether a child under the method is kept from a socket that listens, and what it said."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(10):
            _, writer = await asyncio.open_connection("127.0.0.1", port)  # the listener can be reached from here
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        command = [sys.executable, "-I", "-S", "-c", _PROBE, str(port)]
        finished = await run(isolation.wrap(command), env={"PATH": _SYSTEM_PATH}, timeout_seconds=15)
    except (OSError, TimeoutError, ProcessTimeoutError) as error:
        return False, str(error)
    finally:
        server.close()
    said = finished.lines[-1] if finished.lines else f"exit code {finished.code}"
    if finished.code == 0:
        return False, "the probe reached the network"
    return finished.code == _REFUSED, said
