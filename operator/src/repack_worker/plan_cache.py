"""Plans made without a lock, remembered by what went into them: choosing versions costs more than everything else.

An entry that is cut, changed, too old or not a plan counts as none. Another worker of the same namespace may have made
it (`shared_cache.py`), so its fields are checked as those of a lock are.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from repack_contract.errors import RepackError
from repack_worker.our_uv import our_uv_version
from repack_worker.plan import Plan, SourceDist, Wheel, check_planned
from repack_worker.platforms import Platform
from repack_worker.sealed import PLANS, seal, unseal, write_sealed
from repack_worker.threads import in_thread
from repack_worker.wanted import Wanted

if TYPE_CHECKING:
    from repack_worker.shared_cache import SharedCache

_FORMAT = 2
_CLOCKS_DIFFER_SECONDS = 300.0


@dataclass(frozen=True)
class PlanCache:
    """`<folder>/<key>.json`, and the same entries at the dashboard."""

    folder: Path
    max_age_seconds: float
    shared: "SharedCache | None" = None

    async def get(self, key: str, wanted: Wanted, platform: Platform) -> Plan | None:
        """Return the remembered plan: from here, else from another worker."""
        if self.max_age_seconds <= 0:
            return None
        path = self.folder / f"{key}.json"
        if plan := await in_thread(self._here, path, wanted, platform):
            return plan
        kept = await self.shared.recall(PLANS, key) if self.shared else b""
        plan = self._read(kept, wanted, platform)
        if plan:
            await in_thread(write_sealed, path, kept)
        return plan

    async def put(self, key: str, plan: Plan) -> None:
        """Remember a plan, here and for the other workers."""
        document = {
            "made": time.time(),
            "wheels": [asdict(wheel) for wheel in plan.wheels], "builds": [asdict(one) for one in plan.builds],
        }  # fmt: skip
        kept = seal(document)
        await in_thread(write_sealed, self.folder / f"{key}.json", kept)
        if self.shared:
            await self.shared.remember(PLANS, key, kept)

    def _here(self, path: Path, wanted: Wanted, platform: Platform) -> Plan | None:
        try:
            kept = path.read_bytes()
        except OSError:
            return None
        plan = self._read(kept, wanted, platform)
        if plan is None:
            path.unlink(missing_ok=True)
        return plan

    def _read(self, kept: bytes, wanted: Wanted, platform: Platform) -> Plan | None:
        try:
            read = unseal(kept)
            age = time.time() - float(read["made"])
            if not -_CLOCKS_DIFFER_SECONDS < age <= self.max_age_seconds:
                return None
            chosen: list[Wheel | SourceDist] = [Wheel(**wheel) for wheel in read["wheels"]]
            chosen += [_source(source) for source in read["builds"]]
            for one in chosen:
                check_planned(one)
        except (ValueError, TypeError, KeyError, AttributeError, RepackError):
            return None
        return replace(Plan.of(chosen, platform=platform, origin=wanted.origin), warnings=wanted.warnings)


def _source(fields: Mapping[str, Any]) -> SourceDist:
    return SourceDist(**{**fields, "offered": tuple(map(str, fields.get("offered", ())))})


def plan_key(wanted: Wanted, platform: Platform, *, indexes: Sequence[str | None], exclude_newer: str | None) -> str:
    """Return the name of a plan: everything that decides about it."""
    parts = [
        _FORMAT, our_uv_version(), platform.uv_name, platform.python, list(indexes), exclude_newer,
        wanted.lines, wanted.constraints, wanted.overrides, wanted.prerelease, wanted.exclude_newer,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
