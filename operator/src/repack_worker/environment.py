"""Reading settings from environment variables: text in, checked values out, and for what cannot be read a sentence."""

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

_S = TypeVar("_S", bound=msgspec.Struct)
_BOOLS = dict.fromkeys(("yes", "on", "y", "t"), "true") | dict.fromkeys(("no", "off", "n", "f"), "false")
_SHOWN = 80


class Secret:
    """A text that is shown nowhere by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"


def read_settings(kind: type[_S], environment: Mapping[str, str], *, prefix: str) -> _S:
    """Return settings whose fields are the variables `<PREFIX><FIELD>`; raise a `RepackError` naming a wrong one."""
    given = {name.upper(): text for name, text in environment.items()}
    values = {}
    for field in msgspec.structs.fields(kind):
        variable = f"{prefix}{field.name}".upper()
        if (text := given.get(variable)) is not None:
            values[field.name] = _read(text, field.type, variable)
    return kind(**values)


def wrong(variable: str, fault: str) -> RepackError:
    """Return the error for a variable that cannot be used."""
    return RepackError(Reason.INTERNAL, f"The setting {variable} is wrong: {fault}.", hint=f"Correct {variable}.")


def _read(text: str, kind: Any, variable: str) -> Any:
    try:
        value = json.loads(text) if _is_list(kind) else text
        return msgspec.convert(_BOOLS.get(text.lower(), value) if kind is bool else value, kind, strict=False,
                               dec_hook=_make)  # fmt: skip
    except ValueError as error:  # msgspec's ValidationError is one
        raise wrong(variable, f"{text[:_SHOWN]!r} is not {_in_words(kind)}") from error


def _make(kind: Any, text: Any) -> Any:
    return kind(text)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list


def _in_words(kind: Any) -> str:
    """Return what a value must be, such as `a whole number from 1 to 64`."""
    from msgspec import inspect  # noqa: PLC0415 - seldom needed

    told = inspect.type_info(kind)
    options = told.types if isinstance(told, inspect.UnionType) else (told,)
    match next(option for option in options if not isinstance(option, inspect.NoneType)):
        case inspect.IntType() | inspect.FloatType() as number:
            word = "a whole number" if isinstance(number, inspect.IntType) else "a number"
            return f"{word} {_bounds_in_words(number.gt, number.ge, number.le)}".rstrip()
        case inspect.BoolType():
            return "true or false"
        case inspect.EnumType(cls=words):
            return f"one of {', '.join(str(word.value) for word in words if isinstance(word, Enum))}"
        case inspect.ListType():
            return 'a JSON list of texts, such as ["one", "two"]'
        case inspect.CustomType(cls=cls) if cls is Path:
            return "a path"
    return "a text"


def _bounds_in_words(above: float | None, least: float | None, most: float | None) -> str:
    if above is not None:
        return f"above {above:g}"
    if least is None:
        return ""
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
