"""Just enough protobuf for the few objects that kubectl sends in it: `create namespace`, `auth can-i` and their like.

kubectl takes an answer in JSON, so nothing is ever encoded. The field numbers are those of Kubernetes' generated.proto.
"""

import base64
from collections.abc import Iterator
from typing import Any

from repack_local.api.statuses import ApiError, Object

MAGIC = b"k8s\x00"

Fields = dict[int, tuple[str, Any]]
"""Field number to name and type: `str`, `bytes`, `bool`, `int`, `map`, `bytemap`, or the Fields of a message."""

_META: Fields = {
    1: ("name", str),
    2: ("generateName", str),
    3: ("namespace", str),
    11: ("labels", "map"),
    12: ("annotations", "map"),
}
_ATTRIBUTES: Fields = {
    number: (name, str)
    for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), start=1)
}
_ACCESS: Fields = {
    1: ("resourceAttributes", _ATTRIBUTES),
    2: ("nonResourceAttributes", {1: ("path", str), 2: ("verb", str)}),
}
_KINDS: dict[str, Fields] = {
    "Namespace": {1: ("metadata", _META)},
    "ServiceAccount": {1: ("metadata", _META)},
    "ConfigMap": {1: ("metadata", _META), 2: ("data", "map"), 3: ("binaryData", "bytemap"), 4: ("immutable", bool)},
    "Secret": {1: ("metadata", _META), 2: ("data", "bytemap"), 3: ("type", str), 4: ("stringData", "map")},
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", _ACCESS)},
    "SelfSubjectReview": {1: ("metadata", _META)},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", int),
        2: ("preconditions", {1: ("uid", str), 2: ("resourceVersion", str)}),
        4: ("propagationPolicy", str),
    },
}


def decode(content: bytes) -> Object:
    """Return the object of a protobuf body.

    Raises:
        ApiError: 415, it is of a kind that is not known in this form.
    """
    unsupported = ApiError(415, "UnsupportedMediaType", "this kind is taken as application/json or application/yaml")
    if not content.startswith(MAGIC):
        raise unsupported
    try:
        envelope = dict(_fields(content[len(MAGIC) :]))
        head = dict(_fields(envelope[1]))
        kind, version = head[2].decode(), head[1].decode()
        return {"apiVersion": version, "kind": kind} | _message(envelope.get(2, b""), _KINDS[kind])
    except (KeyError, IndexError, ValueError):
        raise unsupported from None


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        if tag & 7 == 0:
            value, at = _number(data, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            size, at = _number(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError(tag)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:  # ends with the data: an index past its end raises
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _message(data: bytes, fields: Fields) -> Object:
    result: Object = {}
    for number, value in _fields(data):
        if number not in fields:
            continue
        name, kind = fields[number]
        if isinstance(kind, str):
            entry = dict(_fields(value))
            raw = entry.get(2, b"")
            text = base64.b64encode(raw).decode() if kind == "bytemap" else raw.decode()
            result.setdefault(name, {})[entry.get(1, b"").decode()] = text
        elif isinstance(kind, dict):
            result[name] = _message(value, kind)
        elif kind is str:
            if value:
                result[name] = value.decode()
        else:
            result[name] = kind(value)
    return result
