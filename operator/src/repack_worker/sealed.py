"""Small documents that are kept: the sha256 of the content, a line break, the content. A damaged one counts as none."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

PLANS, BUILDS = "plans", "builds"
"""Their kinds, where workers of one namespace share them."""


def seal(document: Any) -> bytes:
    """Return a JSON document as it is kept."""
    body = json.dumps(document).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unseal(kept: bytes) -> Any:
    """Return the document; raise ValueError where it is not what was kept."""
    digest, _, body = kept.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("the entry is damaged")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("the entry is nested too deeply") from error


def write_sealed(path: Path, kept: bytes) -> None:
    """Write an entry in one step; of several writers the last one wins, with an equal one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        arriving.write_bytes(kept)
        arriving.replace(path)
    finally:
        arriving.unlink(missing_ok=True)
