"""Run a command and end all that it leaves running: `python reaper.py PARENT COMMAND…`, unprivileged.

Killing a group of processes misses what made a session of its own. So each command gets one of these processes, to
which the kernel gives the orphans below it (PR_SET_CHILD_SUBREAPER): what is left when the command ends becomes its
child sooner or later, and nothing else does. It kills its own children only, whose numbers nobody can have been given
meanwhile, until none is left; also when it gets SIGTERM, which it gets when the process that started it is gone.

What it runs could kill it first; from Linux 6.12 on Landlock refuses that. The command ends with it then, but not what
had left that before.

Runs as a file of its own with the standard library only, like `seccomp.py`.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PATIENCE_SECONDS = 5.0
"""For what cannot be killed now: it hangs in the kernel, or forks faster than we look."""
_LOOK_AGAIN_SECONDS = 0.01
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


def main(parent: int, command: list[str]) -> None:
    """Run the command, end what is left, and end as the command did."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some parents leave it, would take its end from us
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    reaper = os.getpid()
    if os.getppid() != parent:
        sys.exit(1)  # it was gone before we could ask to be told
    child = os.fork()
    if child == 0:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == reaper:
            _become(command)
        os._exit(1)
    code = _wait(child)
    _end_children()
    if code == -signal.SIGKILL:  # for want of memory, most likely: our caller tells that by the signal
        os.kill(reaper, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)


def _become(command: list[str]) -> None:
    os.setsid()  # what the command sends to its own group is not for us
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list that our caller composed
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())


def _wait(command: int) -> int:
    """Return how the command ended; when we are told to end before, that."""
    while signal.sigwait(_SIGNALS) != signal.SIGTERM:
        ended = _ended()
        if command in ended:
            return os.waitstatus_to_exitcode(ended[command])
    return -signal.SIGTERM


def _ended() -> dict[int, int]:
    """Return the children that ended, with their status; raise ChildProcessError when there is no child any more."""
    ended: dict[int, int] = {}
    child, status = os.waitpid(-1, os.WNOHANG)
    while child:
        ended[child] = status
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
    return ended


def _end_children() -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    try:
        while time.monotonic() < give_up:
            _ended()
            for child in _children():
                try:
                    os.kill(child, signal.SIGKILL)  # ours until we ask how it ended, so it is there
                except PermissionError:  # of another account by now
                    continue
            signal.sigtimedwait([signal.SIGCHLD], _LOOK_AGAIN_SECONDS)
    except ChildProcessError:
        return


def _children() -> list[int]:
    listed = _read(f"/proc/self/task/{os.getpid()}/children")
    if listed is not None:
        return [int(word) for word in listed.split()]
    # A kernel without CONFIG_PROC_CHILDREN.
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == os.getpid()]  # noqa: PTH208


def _parent(process: str) -> int:
    return int((_read(f"/proc/{process}/stat") or b") ? 0").rpartition(b")")[2].split()[1])


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than all that is imported here
            return file.read()
    except OSError:
        return None


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
