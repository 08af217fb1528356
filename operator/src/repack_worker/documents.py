"""What is handed out beside a package: report, bill of materials, and what a daemon needs to trust its signature."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from repack_contract import VERSION
from repack_contract.errors import without_secrets
from repack_worker.licences import Licence, licence_stated_by
from repack_worker.our_uv import our_uv_version
from repack_worker.plan import Wheel
from repack_worker.platforms import GLIBC_MINOR
from repack_worker.sbom import bill_of_materials
from repack_worker.signature import DAEMON_SETTINGS, InputSignature, Signer
from repack_worker.work import TargetWork, Work

REPORT, SBOM, PUBLIC_KEY = "report.json", "sbom.cdx.json", "public_key.pem"


def companions_of(work: Work, target: TargetWork, sha256: str) -> dict[str, bytes]:
    """Return the files beside a package by the end of their name."""
    licenses = {wheel: licence_stated_by(target.files[wheel]) for wheel in target.wheels}
    signer = Signer(work.settings.signing_key_file) if work.settings.signing_key_file else None
    documents = {
        REPORT: _json(report_of(work, target, sha256, licenses=licenses)),
        SBOM: _json(
            bill_of_materials(work.the_plugin, checksum=target.checksum, wheels=target.wheels, licenses=licenses)
        ),
    }
    return documents | ({PUBLIC_KEY: signer.public_pem.encode()} if signer else {})


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def report_of(work: Work, target: TargetWork, sha256: str, *, licenses: Mapping[Wheel, Licence]) -> dict[str, Any]:
    """Return `report.json`: what went in, what came out, with what, and how it was verified."""
    plugin, package, proof = work.the_plugin, target.the_package, target.proof
    return {
        "package": {
            "name": package.name,
            "sha256": sha256,
            "sizeBytes": package.stat().st_size,
            "identity": f"{plugin.author}/{plugin.name}:{plugin.version}@{target.checksum}",
            "target": f"linux/{target.arch.value}",
            "glibc": f"2.{GLIBC_MINOR}",
            "python": work.spec.python,
            "mode": work.spec.mode.value,
        },
        "source": {
            "origin": work.fetched.origin if work.fetched else None,
            "sha256": work.fetched.sha256 if work.fetched else None,
            "identity": plugin.identity,
            "signature": (work.signature or InputSignature.NONE).value,
        },
        "signature": _signature(work),
        "plannedFrom": target.plans[0].origin if target.plans else None,
        "indexes": [without_secrets(index) for index in work.indexes if index],
        "tools": {
            "dify-repack": VERSION,
            "uv": our_uv_version(),
        },
        "wheels": [_wheel(target, wheel, licenses[wheel]) for wheel in target.wheels],
        "licenses": _by_license(licenses),
        "warnings": [*work.warnings, *target.warnings],
        "verification": proof.verification.wire() if proof else None,
        "installations": [asdict(run) for run in proof.runs] if proof else [],
        "seconds": {stage.value: round(seconds, 3) for stage, seconds in work.seconds.items()},
    }


def _signature(work: Work) -> dict[str, Any] | None:
    if not work.settings.signing_key_file:
        return None
    return {"algorithm": "RSA PKCS#1 v1.5, SHA-256", "publicKey": PUBLIC_KEY, "daemonSettings": DAEMON_SETTINGS}


def _wheel(target: TargetWork, wheel: Wheel, stated: Licence) -> dict[str, Any]:
    described = {
        "name": wheel.name,
        "version": wheel.version,
        "filename": wheel.filename,
        "sha256": wheel.sha256,
        "license": stated.text or None,
    }
    source = next((built.source for built in target.built if built.wheel == wheel), None)
    if source:
        described["builtFrom"] = without_secrets(source.url) + (f"@{source.commit}" if source.commit else "")
    return described


def _by_license(licenses: Mapping[Wheel, Licence]) -> dict[str, list[str]]:
    """Return the distributions by licence, those that state none under "unknown"."""
    found: dict[str, set[str]] = {}
    for wheel, stated in licenses.items():
        found.setdefault(stated.text or "unknown", set()).add(wheel.name)
    return {text: sorted(found[text]) for text in sorted(found)}
