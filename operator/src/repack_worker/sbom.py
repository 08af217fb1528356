"""What is in a package, for those who keep a bill of materials: CycloneDX 1.6 JSON.

Written by hand, for it is one list of components: the CycloneDX library costs a third of a second at each start. The
tests validate the result with that library's schema. No date and no random serial number: the same package, the same
bytes.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from repack_worker.licences import Licence
from repack_worker.plan import Wheel
from repack_worker.plugin import Plugin


def bill_of_materials(
    plugin: Plugin, *, checksum: str, wheels: Sequence[Wheel], licenses: Mapping[Wheel, Licence]
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
        "components": [_component(wheel, licenses.get(wheel, Licence())) for wheel in wheels],
        "dependencies": [{"ref": reference, "dependsOn": [_reference(wheel) for wheel in wheels]}],
    }


def _reference(wheel: Wheel) -> str:
    """Return the name of one wheel in the document; a universal package has two of one version."""
    return f"{_purl(wheel)}#{wheel.filename}"


def _purl(wheel: Wheel) -> str:
    return f"pkg:pypi/{wheel.name}@{wheel.version.replace('+', '%2B')}"


def _component(wheel: Wheel, license: Licence) -> dict[str, Any]:  # noqa: A002 - the field's own word
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
