"""The stage Plan: which distributions go into each package, before a byte of them is downloaded."""

from msgspec.structs import replace
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from repack_contract.choices import Arch
from repack_contract.errors import RepackError, sanitize
from repack_contract.reasons import Reason
from repack_worker.archive import invalid
from repack_worker.hints import hints_of
from repack_worker.lock import LOCK, plan_from_lock
from repack_worker.plan import Plan, SourceDist, raise_no_wheel
from repack_worker.platforms import Platform, cpus, native_cpu
from repack_worker.plugin import Plugin
from repack_worker.requirement_lines import REQUIREMENTS, read_requirements
from repack_worker.rewrite import kept_bytes, requirements_text, wheels_of
from repack_worker.threads import in_thread
from repack_worker.wanted import PYPROJECT, Wanted, from_pyproject, from_requirements
from repack_worker.work import TargetWork, Work

DAEMON_DEFAULT_BYTES = 50 << 20
"""MAX_PLUGIN_PACKAGE_SIZE of Dify's daemon unless set (repackaging.md 4.5)."""
_PYTHON_VERSION = ".python-version"


async def plan_targets(work: Work) -> None:
    """Choose one wheel or source per distribution and CPU; refuse what would pass the size limit."""
    known: dict[Arch, Plan | RepackError] = {}
    for target in work.targets:
        with work.attempting(target):
            target.plans = tuple([await _plan_for_cpu(work, cpu, known) for cpu in cpus(target.arch)])
            _tell(work, target)
            if not work.spec.dry_run:
                check_size(work, target, unpacked_size(work.the_plugin, target))
    names = {one.name for target in work.live for plan in target.plans for one in plan.all}
    work.warnings.extend(await in_thread(hints_of, work.the_plugin, names))
    for hint in work.warnings:
        work.journal.say(hint, "warning")


async def _plan_for_cpu(work: Work, cpu: Arch, known: dict[Arch, Plan | RepackError]) -> Plan:
    """Plan once for each CPU: a universal package and one for amd64 hold the same wheels."""
    if cpu not in known:
        try:
            known[cpu] = await plan_for(work, Platform(arch=cpu, python=work.spec.python))
        except RepackError as error:
            known[cpu] = error
    found = known[cpu]
    if isinstance(found, RepackError):
        raise found
    return found


async def plan_for(work: Work, platform: Platform) -> Plan:
    """Plan from the lock where there is one; else let uv choose, from requirements.txt before pyproject.toml."""
    plugin = work.the_plugin
    if LOCK in plugin.names and PYPROJECT in plugin.names:
        plan = await in_thread(plan_from_lock, plugin.text_of(LOCK), platform=platform)
        plan = replace(plan, warnings=_beside_the_lock(plugin, plan))
    elif REQUIREMENTS in plugin.names:
        plan = await _resolve(work, from_requirements(plugin), platform)
    elif PYPROJECT in plugin.names:
        plan = await _resolve(work, from_pyproject(plugin), platform)
    else:
        raise invalid(
            "The plugin names no dependencies: it has neither pyproject.toml nor requirements.txt.",
            hint="A Dify plugin depends at least on dify_plugin: add it to pyproject.toml and pack the plugin again.",
        )
    for source in plan.builds:
        _check_buildable(work, source, platform)
    return replace(plan, warnings=(*plan.warnings, *_other_python(plugin, platform)))


async def _resolve(work: Work, wanted: Wanted, platform: Platform) -> Plan:
    from repack_worker.choosing import versions_for  # noqa: PLC0415 - a plugin with a lock needs none of it

    return await versions_for(work, wanted, platform)


def _check_buildable(work: Work, source: SourceDist, platform: Platform) -> None:
    """Refuse at once what cannot be built here: better than after the download of everything else."""
    why = ""
    if not work.settings.build_sources:
        why = "building sources is switched off (REPACK_BUILD_SOURCES)"
    elif source.compiled and platform.arch is not native_cpu():
        here = native_cpu()
        why = f"its source has compiled parts, which {here.value if here else 'this machine'} cannot build for it"
    if why:
        raise_no_wheel(source.label, offered=source.offered, has_sdist=True, platform=platform, why=why)


def _beside_the_lock(plugin: Plugin, plan: Plan) -> tuple[str, ...]:
    """Warn of what a requirements.txt beside the lock names and the lock does not hold: the lock decides."""
    if REQUIREMENTS not in plugin.names:
        return ()
    held = {one.name for one in plan.all}
    try:
        lines = read_requirements(plugin.text_of(REQUIREMENTS)).lines
        named = [Requirement(line.partition(" --hash")[0]) for line in lines]
    except (RepackError, InvalidRequirement):
        return ("requirements.txt cannot be read; uv.lock is there and decides",)
    environment = dict(plan.platform.environment)
    missing = [
        one.name for one in named
        if canonicalize_name(one.name) not in held and (one.marker is None or one.marker.evaluate(environment))
    ]  # fmt: skip
    named_only = f"requirements.txt names {', '.join(missing)}, which uv.lock does not hold; uv.lock decides"
    return (named_only,) if missing else ()


def _other_python(plugin: Plugin, platform: Platform) -> tuple[str, ...]:
    if _PYTHON_VERSION not in plugin.names:
        return ()
    wanted = plugin.text_of(_PYTHON_VERSION).strip()[:40]
    same = wanted == platform.python or wanted.startswith(f"{platform.python}.")
    return () if same else (f".python-version asks for {wanted!r}; the package is made for {platform.python}",)


def _tell(work: Work, target: TargetWork) -> None:
    for plan in target.plans:
        size = plan.download_bytes
        shown = f", {size:,} bytes" if size is not None else ""
        builds = f", {len(plan.builds)} of them to be built" if plan.builds else ""
        count = len(plan.wheels) + len(plan.builds)
        work.journal.say(f"{count} packages for {plan.platform.label} from {plan.origin}{shown}{builds}")
        for wheel in plan.wheels:
            work.journal.say(f"  {wheel.pin}  {wheel.filename}", "debug")
        for source in plan.builds:
            work.journal.say(f"  {source.label}  to be built from {source.filename}")
        for warning in map(sanitize, plan.warnings):
            if warning not in target.warnings:
                target.warnings.append(warning)
                work.journal.say(warning, "warning")


def unpacked_size(plugin: Plugin, target: TargetWork) -> int:
    """Return what the package will have unpacked; what is to be built counts with the size of its source."""
    wheels = sum(wheel.size_bytes or 0 for wheel in wheels_of(target.plans))
    builds = sum(source.size_bytes or 0 for source in {one for plan in target.plans for one in plan.builds})
    return kept_bytes(plugin, target.arch) + len(requirements_text(target.plans)) + wheels + builds


def check_size(work: Work, target: TargetWork, size: int, *, packed: bool = False) -> None:
    """Raise `PackageTooLarge` above the limit, which Dify applies to the file and to the sum of what is in it."""
    limit, form = work.settings.max_package_bytes, "packed" if packed else "unpacked"
    if size > limit:
        raise RepackError(
            Reason.PACKAGE_TOO_LARGE,
            f"The package for {target.arch.value} would have {size:,} bytes {form}, above the limit of {limit:,}.",
            hint=f"Raise REPACK_MAX_PACKAGE_BYTES to at least {size}, and MAX_PLUGIN_PACKAGE_SIZE of Dify likewise.",
        )
    if size > DAEMON_DEFAULT_BYTES and not packed:
        warning = (
            f"The package will have {size:,} bytes; Dify accepts 50 MiB unless PLUGIN_MAX_PACKAGE_SIZE and "
            "NGINX_CLIENT_MAX_BODY_SIZE are raised"
        )
        if warning not in target.warnings:
            target.warnings.append(warning)
            work.journal.say(warning, "warning")
