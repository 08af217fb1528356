"""The licence of a wheel, as its metadata states it (core metadata: License-Expression, License, Classifier)."""

import re
import zipfile
import zlib
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from msgspec import Struct

_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_PREFIX = "License :: "
_MAX_METADATA_BYTES = 4 << 20
_MAX_TEXT = 80
"""Longer ones are whole licence texts, which no table holds."""


class Licence(Struct, frozen=True):
    """What a wheel states."""

    text: str = ""
    """Empty when it states nothing."""
    is_expression: bool = False
    """The text is an SPDX expression (PEP 639), not only words of its author."""


def licence_stated_by(wheel: Path) -> Licence:
    """Return the licence of a wheel that is there."""
    fields = _fields(_metadata(wheel) or "")
    expression = fields.get("License-Expression")
    return Licence(" ".join(expression.split()), is_expression=True) if expression else Licence(_stated(fields) or "")


def licence_in(metadata: str) -> str | None:
    """Return the licence that a METADATA file states; None when it states none that is short enough to show."""
    return _stated(_fields(metadata))


def _fields(metadata: str) -> Message:
    """Read the fields; the description below them is often a hundred times as long."""
    return HeaderParser().parsestr(_BLANK_LINE.split(metadata, maxsplit=1)[0])


def _stated(fields: Message) -> str | None:
    stated = fields.get("License-Expression") or fields.get("License") or ""
    if stated and len(stated) <= _MAX_TEXT and stated.upper() != "UNKNOWN" and "\n" not in stated:
        return stated.strip()
    classified = [text.rpartition(" :: ")[2] for text in fields.get_all("Classifier", []) if text.startswith(_PREFIX)]
    return "; ".join(name for name in classified if name != "OSI Approved") or None


def licence_of(wheel: Path) -> str | None:
    """Return the licence that a wheel states; None where there is no such file, or no readable one."""
    metadata = _metadata(wheel)
    return licence_in(metadata) if metadata else None


def _metadata(wheel: Path) -> str | None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            with archive.open(name) as file:
                return file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
    except (OSError, StopIteration, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
