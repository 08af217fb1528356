"""What goes out: one frame to everybody who hears one of its channels, and frames that share the same clients."""

from dataclasses import dataclass
from functools import cached_property

from repack_dashboard.frames import packed


@dataclass(frozen=True, slots=True)
class Cast:
    """A frame on its way to all who hear one of its channels; to each once."""

    frame: bytes
    kind: str
    """The type of its message."""
    channels: tuple[str, ...]
    """The narrowest first."""
    key: str | None = None
    """Names the state that the frame carries whole; who hears the widest channel alone may miss older ones of it."""
    is_base: bool = False
    """Clients of the base contract get it too."""
    at: float | None = None
    """When its event was numbered (the hub's clock)."""

    def is_heard_on(self, channels: set[str]) -> bool:
        """Tell whether somebody who joined these channels gets it."""
        return not channels.isdisjoint(self.channels)

    def key_on(self, channels: set[str]) -> str | None:
        """Return the key where an older frame may be left out: not for whoever follows this very task."""
        return None if self.channels[0] in channels else self.key


class Bundle:
    """Frames that the same clients get at the same moment: joined once, written as the same bytes to all of them."""

    def __init__(self, frames: tuple[tuple[bytes, str | None], ...]) -> None:
        self.frames = frames
        """Each with its key, for a client that does not keep up and must queue them one by one."""
        self.plain = frames[0][0] if len(frames) == 1 else b"".join(frame for frame, _ in frames)

    @cached_property
    def packed(self) -> bytes:
        """The same for clients that negotiated compression."""
        return b"".join(packed(frame) for frame, _ in self.frames)
