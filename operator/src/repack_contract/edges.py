"""Where plain values (`values.py`) become models of the contract, and models values: at the edges of a program."""

from typing import Any, TypeVar

import msgspec

from repack_contract.values import Value
from repack_contract.wire import Model

_M = TypeVar("_M", bound=Model)
_V = TypeVar("_V", bound=Value)


def as_model(value: Value, kind: type[_M]) -> _M:
    """Return the model for a value; raise pydantic's `ValidationError` when it breaks a rule."""
    return kind.model_validate(msgspec.to_builtins(value))


def as_value(model: Model, kind: type[_V]) -> _V:
    """Return the value for a model; what values do not have is left out."""
    wire: dict[str, Any] = model.wire()
    return msgspec.convert(wire, kind)
