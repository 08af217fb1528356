"""The stages themselves (repackaging.md 6.1) in order. Each takes what the ones before left in `Work`."""

from repack_contract.phases import Stage
from repack_contract.values import Plan as PlanStatus
from repack_contract.values import PlanTarget
from repack_worker.archive import Limits, unpack
from repack_worker.folders import end_search_of_uv
from repack_worker.making import download, needs_building, write
from repack_worker.pipeline import Step
from repack_worker.planning import plan_targets, unpacked_size
from repack_worker.platforms import cpus
from repack_worker.plugin import read_plugin
from repack_worker.publishing import publish
from repack_worker.settings import Settings
from repack_worker.signature import InputSignature, Signer, check_input
from repack_worker.threads import in_thread
from repack_worker.work import TargetWork, Work


async def fetch(work: Work) -> None:
    """Get the plugin, unpack it safely, read its manifest."""
    settings, incoming = work.settings, work.folder / "incoming"
    incoming.mkdir()
    await in_thread(end_search_of_uv, work.folder)
    for url in filter(None, work.indexes):  # uv asks them itself, so they are looked at before
        await work.fetcher.check_address(url)
    if settings.signing_key_file:
        await in_thread(Signer(settings.signing_key_file).check)
    work.fetched = await work.source.fetch(
        incoming, fetcher=work.fetcher, journal=work.journal, limit=settings.max_plugin_bytes
    )
    limits = input_limits(settings)
    unpacked = await in_thread(unpack, work.fetched.path, work.folder / "plugin", limits=limits)
    plugin = work.plugin = read_plugin(unpacked)
    work.journal.plugin(plugin.info)
    work.journal.say(f"Plugin {plugin.identity}, {len(plugin.names)} files, from {work.fetched.origin}")
    await _check_signature(work)
    work.targets = [TargetWork(arch=target.arch) for target in work.spec.targets]
    for target in work.targets:
        with work.attempting(target):
            for cpu in cpus(target.arch):
                plugin.check_target(cpu)


async def _check_signature(work: Work) -> None:
    """Note what the plugin's signature is worth while it is still whole: what we make of it cannot carry it on."""
    assert work.fetched is not None  # noqa: S101 - it was just fetched
    key = work.settings.marketplace_key_file
    work.signature = await in_thread(check_input, work.fetched.path, work.the_plugin, key)
    if work.signature is InputSignature.VALID:
        work.journal.say("The plugin's signature is right")
    elif work.signature is InputSignature.INVALID:
        work.journal.say("The plugin's signature does not fit the key: not by the Marketplace, or changed", "warning")


def input_limits(settings: Settings) -> Limits:
    """Return what a plugin may cost to unpack."""
    return Limits(entries=settings.max_entries, total_bytes=settings.max_unpacked_bytes)


def plan_status(work: Work) -> PlanStatus:
    """Return what a dry run tells: `status.plan`."""
    plans = [plan for target in work.live for plan in target.plans]
    everything = {one for plan in plans for one in plan.all}
    builds = {source for plan in plans for source in plan.builds}
    limit = work.settings.max_package_bytes
    sizes = {target.arch: unpacked_size(work.the_plugin, target) for target in work.live}
    told = (*work.warnings, *(warning for target in work.live for warning in target.warnings))
    warnings = dict.fromkeys(warning[:256] for warning in told)
    return PlanStatus(
        packages=len(everything),
        download_bytes=sum(one.size_bytes or 0 for one in everything),
        builds=len(builds),
        warnings=list(warnings)[:16] or None,
        targets=[PlanTarget(arch=arch, size_bytes=size, over_limit=size > limit) for arch, size in sizes.items()],
    )


async def build(work: Work) -> None:
    """Make wheels of what has none."""
    from repack_worker import building  # noqa: PLC0415 - with all that only it needs

    await building.build(work)


async def verify(work: Work) -> None:
    """Install the packages with the network off."""
    from repack_worker import proving  # noqa: PLC0415 - with all that only it needs

    await proving.prove_targets(work)


STEPS = (
    Step(Stage.FETCH, fetch),
    Step(Stage.PLAN, plan_targets),
    Step(Stage.DOWNLOAD, download),
    Step(Stage.BUILD, build, wanted=needs_building),
    Step(Stage.PACK, write),
    Step(Stage.VERIFY, verify),
    Step(Stage.PUBLISH, publish),
)
DRY_RUN_STEPS = STEPS[:2]
