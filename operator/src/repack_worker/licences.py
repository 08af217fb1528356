"""The licence of a wheel, as its metadata states it (core metadata: License-Expression, License, Classifier)."""

import zipfile
import zlib
from email.parser import HeaderParser
from pathlib import Path

_PREFIX = "License :: "
_MAX_METADATA_BYTES = 4 << 20
_MAX_TEXT = 80
"""Longer ones are whole licence texts, which no table holds."""


def licence_in(metadata: str) -> str | None:
    """Return the licence that a METADATA file states; None when it states none that is short enough to show."""
    fields = HeaderParser().parsestr(metadata)
    stated = fields.get("License-Expression") or fields.get("License") or ""
    if stated and len(stated) <= _MAX_TEXT and stated.upper() != "UNKNOWN" and "\n" not in stated:
        return stated.strip()
    classified = [text.rpartition(" :: ")[2] for text in fields.get_all("Classifier", []) if text.startswith(_PREFIX)]
    return "; ".join(name for name in classified if name != "OSI Approved") or None


def licence_of(wheel: Path) -> str | None:
    """Return the licence that a wheel states; None where there is no such file, or no readable one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            with archive.open(name) as file:
                return licence_in(file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace"))
    except (OSError, StopIteration, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
