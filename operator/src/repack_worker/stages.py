"""The stages themselves (repackaging.md 6.1) in order. Each takes what the ones before left in `Work`."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from repack_contract.errors import RepackError
from repack_contract.phases import Stage
from repack_contract.reasons import Reason
from repack_contract.task import Artifact, PlanTarget
from repack_contract.task import Plan as PlanStatus
from repack_worker.archive import Limits, invalid, pack, sha256_of, unpack
from repack_worker.hints import hints_of
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.lock import LOCK, plan_from_lock
from repack_worker.pipeline import Step
from repack_worker.plan import Plan, Wheel
from repack_worker.platforms import Platform, check_supported
from repack_worker.plugin import Plugin, read_plugin
from repack_worker.requirement_lines import REQUIREMENTS, read_requirements
from repack_worker.resolve import resolve
from repack_worker.rewrite import kept_bytes, package_name, requirements_text, rewritten
from repack_worker.settings import Settings, VerifyDepth
from repack_worker.threads import in_thread
from repack_worker.verify import Bench, verify
from repack_worker.wheels import WheelCache
from repack_worker.work import TargetWork, Work

_PYPROJECT = "pyproject.toml"
DAEMON_DEFAULT_BYTES = 50 << 20
"""MAX_PLUGIN_PACKAGE_SIZE of Dify's daemon unless set (repackaging.md 4.5)."""


async def fetch(work: Work) -> None:
    """Get the plugin, unpack it safely, read its manifest."""
    check_supported(work.spec)
    settings, incoming = work.settings, work.folder / "incoming"
    incoming.mkdir()
    for url in work.indexes:  # uv asks them itself, so they are looked at before
        await work.fetcher.check_address(url)
    work.fetched = await work.source.fetch(
        incoming, fetcher=work.fetcher, journal=work.journal, limit=settings.max_plugin_bytes
    )
    limits = input_limits(settings)
    unpacked = await in_thread(unpack, work.fetched.path, work.folder / "plugin", limits=limits)
    plugin = work.plugin = read_plugin(unpacked)
    work.journal.plugin(plugin.info)
    work.journal.say(f"Plugin {plugin.identity}, {len(plugin.names)} files, from {work.fetched.origin}")
    work.targets = [TargetWork(arch=target.arch) for target in work.spec.targets]
    for target in work.targets:
        plugin.check_target(target.arch)


def input_limits(settings: Settings) -> Limits:
    """Return what a plugin may cost to unpack."""
    return Limits(entries=settings.max_entries, total_bytes=settings.max_unpacked_bytes)


async def plan(work: Work) -> None:
    """Choose one wheel per distribution, and refuse what would pass the size limit before it is downloaded."""
    for target in work.targets:
        platform = Platform(arch=target.arch, python=work.spec.python)
        chosen = target.plan = await _plan_for(work, platform)
        size = chosen.download_bytes
        shown = f", {size:,} bytes" if size is not None else ""
        work.journal.say(f"{len(chosen.wheels)} packages for {platform.label} from {chosen.origin}{shown}")
        for wheel in chosen.wheels:
            work.journal.say(f"  {wheel.pin}  {wheel.filename}", "debug")
        for warning in chosen.warnings:
            work.journal.say(warning, "warning")
        if not work.spec.dry_run:
            _check_size(work, _unpacked_size(work.the_plugin, chosen))
    names = {wheel.name for target in work.targets if target.plan for wheel in target.plan.wheels}
    work.warnings.extend(await in_thread(hints_of, work.the_plugin, names))
    for hint in work.warnings:
        work.journal.say(hint, "warning")


async def _plan_for(work: Work, platform: Platform) -> Plan:
    """Plan from the lock where there is one; else let uv choose, from requirements.txt before pyproject.toml."""
    plugin = work.the_plugin
    if LOCK in plugin.names and _PYPROJECT in plugin.names:
        return await in_thread(plan_from_lock, plugin.text_of(LOCK), platform=platform)
    if REQUIREMENTS in plugin.names:
        read = read_requirements(plugin.text_of(REQUIREMENTS))
        chosen = await _resolve(work, read.lines, origin=REQUIREMENTS, platform=platform)
        dropped = tuple(f"requirements.txt: the option {line!r} was left out" for line in read.dropped)
        return replace(chosen, warnings=dropped)
    if _PYPROJECT in plugin.names:
        lines = _project_dependencies(plugin)
        return await _resolve(work, lines, origin=_PYPROJECT, platform=platform)
    raise invalid(
        "The plugin names no dependencies: it has neither pyproject.toml nor requirements.txt.",
        hint="A Dify plugin depends at least on dify_plugin: add it to pyproject.toml and pack the plugin again.",
    )


async def _resolve(work: Work, lines: tuple[str, ...], *, origin: str, platform: Platform) -> Plan:
    folder = work.folder / f"resolve-{platform.arch.value}"
    folder.mkdir(exist_ok=True)
    return await resolve(
        lines, origin=origin, platform=platform, indexes=work.indexes, settings=work.settings, folder=folder
    )


def _project_dependencies(plugin: Plugin) -> tuple[str, ...]:
    try:
        project = plugin.toml_of(_PYPROJECT)["project"]
        return read_requirements("\n".join(project.get("dependencies", []))).lines
    except (KeyError, TypeError, AttributeError) as error:
        raise invalid("pyproject.toml has no [project] with a list of dependencies.") from error


def _unpacked_size(plugin: Plugin, plan: Plan) -> int:
    wheels = sum(wheel.size_bytes or 0 for wheel in plan.wheels)
    return kept_bytes(plugin) + len(requirements_text(plan)) + wheels


def _check_size(work: Work, size: int) -> None:
    limit = work.settings.max_package_bytes
    if size > limit:
        raise RepackError(
            Reason.PACKAGE_TOO_LARGE,
            f"The package would have {size:,} bytes unpacked, above the limit of {limit:,}.",
            hint=f"Raise REPACK_MAX_PACKAGE_BYTES to at least {size}, and MAX_PLUGIN_PACKAGE_SIZE of Dify likewise.",
        )
    if size > DAEMON_DEFAULT_BYTES:
        work.journal.say(
            f"The package will have {size:,} bytes; Dify accepts 50 MiB unless PLUGIN_MAX_PACKAGE_SIZE and "
            "NGINX_CLIENT_MAX_BODY_SIZE are raised",
            "warning",
        )


async def download(work: Work) -> None:
    """Bring the wheels of all targets into the cache."""
    journal, settings = work.journal, work.settings
    wheels = {wheel for target in work.targets if target.plan for wheel in target.plan.wheels}
    sizes = [wheel.size_bytes for wheel in wheels]
    journal.total(None if None in sizes else sum(size or 0 for size in sizes))
    fetched = 0

    def arrived(wheel: Wheel, new: bool) -> None:  # noqa: FBT001 - a callback with one flag
        nonlocal fetched
        fetched += new
        journal.doing(f"{wheel.name} {wheel.version}")

    cache = WheelCache(settings.caches / "wheels", fetcher=work.fetcher, connections=settings.connections)
    files = await cache.collect(
        sorted(wheels, key=lambda wheel: -(wheel.size_bytes or 0)),
        index=work.mirror, on_bytes=journal.moved, on_wheel=arrived,
    )  # fmt: skip
    for target in work.targets:
        target.files = {wheel: files[wheel] for wheel in target.plan.wheels} if target.plan else {}
    journal.say(f"{fetched} wheels downloaded, {len(files) - fetched} taken from the cache")


async def write(work: Work) -> None:
    """Write the offline packages."""
    plugin, outgoing = work.the_plugin, work.folder / "outgoing"
    outgoing.mkdir()
    for target in work.targets:
        assert target.plan is not None  # noqa: S101 - the order of the stages
        members = rewritten(plugin, target.plan, target.files)
        size = sum(member.size for member in members)
        _check_size(work, size)
        work.journal.total(size)
        name = package_name(plugin, arch=target.arch, suffix=work.spec.output.suffix)
        target.package = outgoing / name
        target.checksum = await in_thread(pack, members, target.package, on_bytes=work.journal.moved)
        work.journal.say(f"{name}: {target.package.stat().st_size:,} bytes, {len(members)} files")


async def prove(work: Work) -> None:
    """Install each package with the network off; what does not install is not published."""
    settings, journal = work.settings, work.journal
    interpreter, isolation = await asyncio.gather(
        find_interpreter(work.spec.python, settings=settings), choose_isolation(settings.isolation)
    )
    journal.say(f"Verifying with {interpreter.executable} under {isolation.method.value} ({isolation.proof})")
    bench = Bench(
        interpreter=interpreter,
        isolation=isolation,
        timeout_seconds=settings.verify_timeout_seconds,
        say=journal.say,
        doing=journal.doing,
    )
    if settings.verify is VerifyDepth.FULL:
        journal.say("This version verifies at the level standard only", "warning")
    limits = Limits(entries=settings.max_entries * 2, total_bytes=settings.max_package_bytes * 2)
    for target in work.targets:
        assert target.package is not None  # noqa: S101 - the order of the stages
        _, target.verification = await verify(target.package, bench=bench, folder=work.folder, limits=limits)
        journal.say(target.verification.message or "verified")


async def publish(work: Work) -> None:
    """Hand the verified packages over."""
    for target in work.targets:
        assert target.package is not None  # noqa: S101 - the order of the stages
        size = target.package.stat().st_size
        sha256 = await in_thread(sha256_of, target.package)
        work.journal.total(size)
        uri = await work.store.put(
            target.package,
            target=target.arch, sha256=sha256, report=report_of(work, target, sha256), on_bytes=work.journal.moved,
        )  # fmt: skip
        work.artifacts.append(
            Artifact(
                target=target.arch,
                name=target.package.name,
                uri=uri,
                sha256=sha256,
                size_bytes=size,
                wheels=len(target.files),
                verification=target.verification,
            )
        )
        work.journal.say(f"Published {target.package.name} (sha256 {sha256})")


def report_of(work: Work, target: TargetWork, sha256: str) -> dict[str, Any]:
    """Return `report.json`: what went in, what came out, and how it was verified."""
    plugin, plan = work.the_plugin, target.plan
    return {
        "package": {
            "name": target.package.name if target.package else None,
            "sha256": sha256,
            "identity": f"{plugin.author}/{plugin.name}:{plugin.version}@{target.checksum}",
            "target": f"linux/{target.arch.value}",
            "python": work.spec.python,
            "mode": work.spec.mode.value,
        },
        "source": {
            "origin": work.fetched.origin if work.fetched else None,
            "sha256": work.fetched.sha256 if work.fetched else None,
            "identity": plugin.identity,
        },
        "plannedFrom": plan.origin if plan else None,
        "wheels": [
            {"name": wheel.name, "version": wheel.version, "filename": wheel.filename, "sha256": wheel.sha256}
            for wheel in (plan.wheels if plan else ())
        ],
        "verification": target.verification.wire() if target.verification else None,
        "seconds": {stage.value: round(seconds, 3) for stage, seconds in work.seconds.items()},
    }


def _warnings(plans: Sequence[Plan]) -> Iterator[str]:
    return (warning for plan in plans for warning in plan.warnings)


def plan_status(work: Work) -> PlanStatus:
    """Return what a dry run tells: `status.plan`."""
    plans = [target.plan for target in work.targets if target.plan]
    wheels = {wheel for plan in plans for wheel in plan.wheels}
    limit = work.settings.max_package_bytes
    sizes = {plan.platform.arch: _unpacked_size(work.the_plugin, plan) for plan in plans}
    return PlanStatus(
        packages=len(wheels),
        download_bytes=sum(wheel.size_bytes or 0 for wheel in wheels),
        builds=0,
        warnings=[text[:256] for text in dict.fromkeys((*work.warnings, *_warnings(plans)))][:16] or None,
        targets=[PlanTarget(arch=arch, size_bytes=size, over_limit=size > limit) for arch, size in sizes.items()],
    )


STEPS = (
    Step(Stage.FETCH, fetch),
    Step(Stage.PLAN, plan),
    Step(Stage.DOWNLOAD, download),
    Step(Stage.PACK, write),
    Step(Stage.VERIFY, prove),
    Step(Stage.PUBLISH, publish),
)
"""Build joins between Download and Pack when something must be built."""
DRY_RUN_STEPS = STEPS[:2]
