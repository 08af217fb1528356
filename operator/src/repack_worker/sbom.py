"""What is in a package, for those who keep a bill of materials: CycloneDX 1.6 JSON, and the licences of the wheels.

Written by hand, for it is one list of components: the CycloneDX library costs a third of a second at each start. The
tests validate the result with that library's schema. No date and no random serial number: the same package, the same
bytes.
"""

import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from repack_worker.plan import Wheel
from repack_worker.plugin import Plugin

_LONGEST_LICENSE = 120


@dataclass(frozen=True)
class License:
    """What a wheel says of its licence."""

    text: str
    """An SPDX expression, or whatever words its author chose; empty when it says nothing."""
    is_expression: bool = False


def license_of(wheel: Path) -> License:
    """Read the licence from a wheel's METADATA: the expression (PEP 639), else the classifier, else the short text."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next((name for name in archive.namelist() if name.endswith(".dist-info/METADATA")), None)
            text = archive.read(name).decode("utf-8", "replace") if name else ""
    except (zipfile.BadZipFile, OSError):
        return License("")
    metadata = HeaderParser().parsestr(text)
    if expression := metadata.get("License-Expression"):
        return License(" ".join(expression.split()), is_expression=True)
    return License(_from_classifiers(metadata) or _short(metadata.get("License") or ""))


def _from_classifiers(metadata: Message) -> str:
    classifiers = metadata.get_all("Classifier") or []
    found = [text.rpartition("::")[2].strip() for text in classifiers if text.startswith("License ::")]
    return ", ".join(one for one in found if one != "OSI Approved")


def _short(text: str) -> str:
    """Return a licence that is a name; some authors paste the whole text."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= _LONGEST_LICENSE and "UNKNOWN" not in first.upper() else ""


def bill_of_materials(
    plugin: Plugin, *, checksum: str, wheels: Sequence[Wheel], licenses: Mapping[Wheel, License]
) -> dict[str, Any]:
    """Return the CycloneDX document of a package."""
    reference = f"{plugin.author}/{plugin.name}@{plugin.version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'difypkg:{checksum}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference,
                "group": plugin.author,
                "name": plugin.name,
                "version": plugin.version,
            },
            "tools": {"components": [{"type": "application", "name": "dify-repack"}]},
        },
        "components": [_component(wheel, licenses.get(wheel, License(""))) for wheel in wheels],
        "dependencies": [{"ref": reference, "dependsOn": [_reference(wheel) for wheel in wheels]}],
    }


def _reference(wheel: Wheel) -> str:
    """Return the name of one wheel in the document; a universal package has two of one version."""
    return f"{_purl(wheel)}#{wheel.filename}"


def _purl(wheel: Wheel) -> str:
    return f"pkg:pypi/{wheel.name}@{wheel.version.replace('+', '%2B')}"


def _component(wheel: Wheel, license: License) -> dict[str, Any]:  # noqa: A002 - the field's own word
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(wheel),
        "name": wheel.name,
        "version": wheel.version,
        "purl": _purl(wheel),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "properties": [{"name": "dify-repack:filename", "value": wheel.filename}],
    }
    if license.is_expression:
        component["licenses"] = [{"expression": license.text}]
    elif license.text:
        component["licenses"] = [{"license": {"name": license.text}}]
    return component
