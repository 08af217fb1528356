"""What waits for one slow client: bounded, and with the newest progress in place of older ones (realtime.md 5.3)."""

from collections import deque
from dataclasses import dataclass, replace

from repack_dashboard.frames import is_numbered, with_coalesced


@dataclass(frozen=True, slots=True)
class Waiting:
    """A frame that could not be written yet; `left_out` frames before it were dropped for newer ones."""

    frame: bytes
    key: str | None
    left_out: int = 0


class Backlog:
    """Frames that wait until the client reads again. Decides nothing about the client: `add` says when it is full."""

    def __init__(self, *, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._waiting: deque[Waiting] = deque()
        self._exempt = 0
        self.size_bytes = 0
        self.coalesced = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, frame: bytes, *, key: str | None) -> bool:
        """Queue a frame; False when that would break a bound, and then it is not queued.

        A frame with a key carries a whole state: the one of the same key that waits already is left out for it.
        """
        gap = 0 if key is None else self._leave_out(key)
        too_many = len(self._waiting) - self._exempt >= self._max_frames
        if too_many or self.size_bytes + len(frame) > self._max_bytes:
            return False
        self._waiting.append(Waiting(frame, key, gap))
        self.size_bytes += len(frame)
        return True

    def add_burst(self, frames: list[bytes]) -> None:
        """Queue a replay or a snapshot, which counts towards no bound: it was asked for and is of known size.

        It builds on all that waits already, so nothing of that may be left out any more.
        """
        self._waiting = deque(replace(waiting, key=None) for waiting in self._waiting)
        self._waiting.extend(Waiting(frame, None) for frame in frames)
        self._exempt += len(frames)

    def take(self) -> list[bytes]:
        """Return everything that waits, in order, and forget it."""
        frames = [
            with_coalesced(waiting.frame, waiting.left_out) if waiting.left_out else waiting.frame
            for waiting in self._waiting
        ]
        self.clear()
        return frames

    def clear(self) -> None:
        """Forget everything that waits."""
        self._waiting.clear()
        self._exempt = 0
        self.size_bytes = 0

    def _leave_out(self, key: str) -> int:
        """Drop the waiting frame of `key`; the next event after it tells the client that the hole is meant.

        Returns the number of frames that the next frame to be added has to account for.
        """
        found = next((index for index, waiting in enumerate(self._waiting) if waiting.key == key), None)
        if found is None:
            return 0
        dropped = self._waiting[found]
        del self._waiting[found]
        self.size_bytes -= len(dropped.frame)
        self.coalesced += 1
        gap = dropped.left_out + 1
        for index in range(found, len(self._waiting)):
            following = self._waiting[index]
            if is_numbered(following.frame):
                self._waiting[index] = replace(following, left_out=following.left_out + gap)
                return 0
        return gap
