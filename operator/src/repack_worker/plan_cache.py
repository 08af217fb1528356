"""Plans made without a lock, remembered by what went into them: choosing versions costs more than everything else.

An entry that is cut, changed or too old counts as none.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from repack_worker.plan import Plan, SourceDist, Wheel
from repack_worker.platforms import Platform
from repack_worker.uv_versions import our_uv_version
from repack_worker.wanted import Wanted

_FORMAT = 1


@dataclass(frozen=True)
class PlanCache:
    """`<folder>/<key>.json`: the sha256 of the plan, a line break, the plan."""

    folder: Path
    max_age_seconds: float

    def get(self, key: str, wanted: Wanted, platform: Platform) -> Plan | None:
        """Return the remembered plan."""
        path = self.folder / f"{key}.json"
        try:
            if self.max_age_seconds <= 0 or time.time() - path.stat().st_mtime > self.max_age_seconds:
                return None
            digest, _, body = path.read_bytes().partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != digest:
                path.unlink(missing_ok=True)
                return None
            read = json.loads(body)
            plan = Plan.of(
                [*(Wheel(**wheel) for wheel in read["wheels"]), *(_source(source) for source in read["builds"])],
                platform=platform, origin=wanted.origin,
            )  # fmt: skip
            return replace(plan, warnings=wanted.warnings)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, key: str, plan: Plan) -> None:
        """Remember a plan; the last writer wins, with an equal one."""
        body = json.dumps(
            {"wheels": [asdict(wheel) for wheel in plan.wheels], "builds": [asdict(one) for one in plan.builds]}
        ).encode()
        self.folder.mkdir(parents=True, exist_ok=True)
        arriving = self.folder / f".{uuid.uuid4().hex[:8]}"
        arriving.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        arriving.replace(self.folder / f"{key}.json")


def _source(fields: dict[str, object]) -> SourceDist:
    fields["offered"] = tuple(fields.get("offered", ()))  # type: ignore[arg-type]
    return SourceDist(**fields)  # type: ignore[arg-type]


def plan_key(wanted: Wanted, platform: Platform, *, indexes: Sequence[str], exclude_newer: str | None) -> str:
    """Return the name of a plan: everything that decides about it."""
    parts = [
        _FORMAT, our_uv_version(), platform.uv_name, platform.python, list(indexes), exclude_newer,
        wanted.lines, wanted.constraints, wanted.overrides, wanted.prerelease, wanted.exclude_newer,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
