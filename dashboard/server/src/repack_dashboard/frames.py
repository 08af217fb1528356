"""One message, one finished WebSocket frame: the very same bytes are written to every client (realtime.md 0.1)."""

from pydantic import BaseModel
from websockets.frames import Frame, Opcode

from repack_contract.messages import AllSnapshot


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


def with_coalesced(finished: bytes, count: int) -> bytes:
    """Return the frame with `"coalesced": count`: so many frames before it were left out for this client."""
    return text_frame(b'{"coalesced":%d,' % count + payload_of(finished)[1:])
