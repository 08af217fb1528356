"""Choosing versions for a plugin without a lock: remembered from an earlier run, or by uv."""

from packaging.requirements import Requirement

from repack_worker.plan import Plan
from repack_worker.plan_cache import PlanCache, plan_key
from repack_worker.platforms import Platform
from repack_worker.wanted import Wanted
from repack_worker.work import Work


async def versions_for(work: Work, wanted: Wanted, platform: Platform) -> Plan:
    """Return the plan for what is wanted; as `Resolver.resolve`."""
    settings = work.settings
    cache = PlanCache(settings.caches / "plans", max_age_seconds=settings.plan_cache_seconds, shared=work.shared)
    key = plan_key(wanted, platform, indexes=work.indexes, exclude_newer=settings.exclude_newer)
    if remembered := await cache.get(key, wanted, platform):
        work.journal.say(f"The versions for {wanted.origin} are remembered from an earlier run")
        return remembered
    # uv fetches them itself, so they are looked at before.
    for line in (*wanted.lines, *wanted.constraints, *wanted.overrides):
        if url := Requirement(line.partition(" --hash")[0]).url:
            await work.fetcher.check_address(url.removeprefix("git+"))
    from repack_worker.resolve import Resolver  # noqa: PLC0415 - of those whose versions nobody remembers

    folder = work.folder / f"resolve-{platform.arch.value}"
    folder.mkdir(exist_ok=True)
    resolver = Resolver(
        indexes=work.indexes,
        settings=settings,
        fetcher=work.fetcher,
        access=work.access,
        guard=work.guard,
        folder=folder,
    )
    plan = await resolver.resolve(wanted, platform)
    await cache.put(key, plan)
    return plan
