"""What is received goes to disk: hashed and written from one buffer, in the thread that receives it."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_TELL_SECONDS = 0.05
"""What comes slowly is written, and told of, as often as this."""


class Sink:
    """Writes and hashes a file, the last of it here.

    What has come is written whatever ends the block, for a further attempt goes on from there.
    """

    def __init__(
        self, path: Path, room: memoryview, *, there: int, tell: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        """Take `room` as the buffer; `tell` of bytes that are written; `check` raises when this is to end."""
        self._path, self._room, self._there, self._tell, self._check = path, room, there, tell, check
        self._digest = hashlib.sha256()
        self._filled, self._told = 0, time.monotonic()

    def __enter__(self) -> Self:
        if self._there:
            with self._path.open("rb", buffering=0) as file:
                while count := file.readinto(self._room):
                    self._check()
                    self._digest.update(self._room[:count])
        self._file = self._path.open("ab" if self._there else "wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._write()

    def receive(self, receive: Callable[[memoryview], int], *, most: int) -> int:
        """Receive once; what is above `most` bytes is not kept. Return how many came, 0 at the end."""
        count = receive(self._room[self._filled :])
        self._filled += min(count, most)
        if self._filled == len(self._room) or time.monotonic() - self._told > _TELL_SECONDS:
            self._write()
        return count

    def _write(self) -> None:
        rest = batch = self._room[: self._filled]
        self._filled, self._told = 0, time.monotonic()
        self._digest.update(batch)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._tell(len(batch))

    @property
    def sha256(self) -> str:
        """The sha256 of the whole file, once the block has ended."""
        return self._digest.hexdigest()
