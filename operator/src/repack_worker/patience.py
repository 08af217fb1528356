"""How long a server may keep us waiting: a deadline for the head of an answer, a pace for its body. Pure."""

from collections.abc import Callable

from repack_contract.reasons import Reason
from repack_worker.download import CutError
from repack_worker.settings import Settings


class Patience:
    """The limits of one connection, and what came within them."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._deadline: float | None = None
        self._window_start, self._window_bytes = 0.0, 0
        self.came_bytes = 0
        """What came since the head of an answer was asked for."""

    def begin_head(self, deadline: float) -> None:
        """Wait for a head until then, however often a byte of it comes."""
        self._deadline, self.came_bytes = deadline, 0

    def begin_body(self) -> None:
        """Wait for a body as long as it has the pace that is asked for."""
        if self._deadline is not None:
            self._deadline, self._window_start, self._window_bytes = None, self._clock(), 0

    def seconds(self) -> float:
        """Return how long the next bytes may take; raise a TimeoutError when it is too late for any."""
        if self._deadline is None:
            return self._settings.stall_seconds
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        return min(left, self._settings.stall_seconds)

    def came(self, count: int) -> None:
        """Note that bytes came; raise a `CutError` when they drip: that is as good as silence."""
        self.came_bytes += count
        if self._deadline is not None:
            return
        self._window_bytes += count
        seconds = self._clock() - self._window_start
        if seconds < self._settings.stall_seconds:
            return
        if self._window_bytes < self._settings.min_bytes_per_second * seconds:
            raise CutError(Reason.DOWNLOAD_TIMEOUT, f"only {self._window_bytes:,} bytes came within {seconds:.0f} s")
        self._window_start, self._window_bytes = self._clock(), 0
