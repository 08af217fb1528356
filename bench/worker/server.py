"""The index in a process of its own, so that it shares no interpreter lock with what is measured."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from fakes.index import FakeIndex, WheelFile


def _serve(wheels: list[WheelFile], channel: Connection) -> None:
    with FakeIndex() as index:
        index.add(*wheels)
        channel.send(index.base)
        while channel.recv() == "bytes":
            channel.send(index.sent_bytes)


class RemoteIndex(FakeIndex):
    """What the builders of plugins need of an index, at the address of the process."""

    def __init__(self, base: str, channel: Connection) -> None:
        self._base, self._channel = base, channel

    @property
    def base(self) -> str:
        """The address."""
        return self._base

    def served_bytes(self) -> int:
        """Return the bytes of files that were sent so far."""
        self._channel.send("bytes")
        return int(self._channel.recv())


@contextmanager
def serving(wheels: list[WheelFile]) -> Iterator[RemoteIndex]:
    """Serve the wheels until the end of the block."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(wheels, theirs), daemon=True)
    process.start()
    try:
        yield RemoteIndex(ours.recv(), ours)
    finally:
        ours.send("end")
        process.join(timeout=5)
        process.terminate()
        time.sleep(0)
