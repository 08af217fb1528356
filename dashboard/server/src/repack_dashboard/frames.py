"""One message, one finished WebSocket frame: the very same bytes are written to every client (realtime.md 0.1)."""

from functools import lru_cache

from pydantic import BaseModel
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from repack_contract.messages import AllSnapshot

PACK_BYTES = 1024
"""Smaller payloads are not worth compressing: 300 bytes become 200, for more work on both sides (realtime.md 4.3)."""
PACK_WINDOW_BITS = 12
"""The window that a client of compressed frames must have; 4 KB, as they all begin anew."""
_PACK_WITH = PerMessageDeflate(
    remote_no_context_takeover=True,
    local_no_context_takeover=True,
    remote_max_window_bits=PACK_WINDOW_BITS,
    local_max_window_bits=PACK_WINDOW_BITS,
    compress_settings={"memLevel": 5},
)


def payload(message: BaseModel) -> bytes:
    """Return the JSON of a message. What is None is left out, but for the keys that say `this is of all tasks`."""
    data = message.model_dump_json(exclude_none=True).encode()
    if isinstance(message, AllSnapshot):
        return b'{"task_id":null,"namespace":null,"name":null,' + data[1:]
    return data


def frame(message: BaseModel) -> bytes:
    """Return a message as a finished, unmasked, uncompressed text frame."""
    return text_frame(payload(message))


def text_frame(data: bytes) -> bytes:
    """Return a payload as a finished text frame."""
    return bytes(Frame(Opcode.TEXT, data).serialize(mask=False))


def payload_of(finished: bytes) -> bytes:
    """Return the payload of a frame that `frame` made."""
    length = finished[1]
    start = 2 if length < 126 else 4 if length == 126 else 10
    return finished[start:]


def is_numbered(finished: bytes) -> bool:
    """Tell whether a frame is an event of the log; pings, log lines and the like carry no number."""
    return b'"gseq":' in finished[:600]  # it follows the names of the task, which are shorter


def with_coalesced(finished: bytes, count: int) -> bytes:
    """Return the frame with `"coalesced": count`: so many frames before it were left out for this client."""
    return text_frame(b'{"coalesced":%d,' % count + payload_of(finished)[1:])


def packed(finished: bytes) -> bytes:
    """Return a finished frame compressed, where that is worth it.

    It stands for itself (no context is taken over), so all clients share it and it may come between any others.
    """
    return finished if len(finished) < PACK_BYTES else _compressed(finished)


@lru_cache(maxsize=256)
def _compressed(finished: bytes) -> bytes:
    data = payload_of(finished)
    smaller = bytes(Frame(Opcode.TEXT, data).serialize(mask=False, extensions=[_PACK_WITH]))
    return min(smaller, finished, key=len)
