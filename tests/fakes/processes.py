"""Ending the processes that a test started, whatever became of the test."""

import subprocess


def stop(processes: "list[subprocess.Popen[str]]") -> None:
    """Kill what still runs and close its pipes."""
    while processes:
        process = processes.pop()
        if process.poll() is None:
            process.kill()
        if process.stdout and not process.stdout.closed:
            process.communicate(timeout=10)
