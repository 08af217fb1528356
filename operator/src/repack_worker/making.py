"""The stages Download, Build and Pack."""

import asyncio
from dataclasses import replace
from pathlib import Path

from packaging.utils import parse_wheel_filename

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.task import Mode
from repack_worker.archive import pack
from repack_worker.build import Workshop, unmet
from repack_worker.built_wheels import BuiltWheels, local_key
from repack_worker.dual import dual_members
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.plan import Plan, SourceDist, Wheel, raise_no_wheel
from repack_worker.planning import check_size
from repack_worker.platforms import Platform
from repack_worker.rewrite import package_name, rewritten
from repack_worker.signature import Signer
from repack_worker.threads import in_thread
from repack_worker.wheels import File, IndexOrigin, WheelCache
from repack_worker.work import Built, TargetWork, Work


def _cache(work: Work) -> WheelCache:
    settings = work.settings
    return WheelCache(
        settings.caches / "wheels",
        fetcher=work.fetcher,
        connections=settings.connections,
        shared=work.bucket or work.shared,
    )


async def download(work: Work) -> None:
    """Bring the wheels and the source archives of all targets into the cache, each once."""
    journal = work.journal
    plans = [plan for target in work.live for plan in target.plans]
    files: set[File] = {wheel for plan in plans for wheel in plan.wheels}
    files |= {source for plan in plans for source in plan.builds if source.sha256}
    sizes = [file.size_bytes for file in files]
    journal.total(None if None in sizes else sum(size or 0 for size in sizes))
    fetched = 0

    def arrived(file: File, new: bool) -> None:  # noqa: FBT001 - a callback with one flag
        nonlocal fetched
        fetched += new
        journal.doing(f"{file.name} {file.version}")

    index_folder = work.folder / "index"
    index_folder.mkdir(exist_ok=True)
    origin = IndexOrigin(index=work.mirror, fetcher=work.fetcher, access=work.access, folder=index_folder)
    there = await _cache(work).collect(
        sorted(files, key=lambda file: (-(file.size_bytes or 0), file.filename)),
        origin=origin, on_bytes=journal.moved, on_file=arrived,
    )  # fmt: skip
    work.sources = {file: path for file, path in there.items() if isinstance(file, SourceDist)}
    for target in work.live:
        target.files = {wheel: there[wheel] for wheel in target.wheels}
    kind = "files" if work.sources else "wheels"
    journal.say(f"{fetched} {kind} downloaded, {len(there) - fetched} taken from the cache")
    if work.bucket is not None and (fault := work.bucket.fault):
        journal.say(f"The shared wheels were not used: {fault.message} {fault.hint}", "warning")


def needs_building(work: Work) -> bool:
    """Tell whether the stage Build takes place."""
    return any(plan.builds for target in work.live for plan in target.plans)


async def build(work: Work) -> None:
    """Make wheels of the sources; each is built once, and one for any CPU serves all targets."""
    interpreter, isolation = await asyncio.gather(
        find_interpreter(work.spec.python, settings=work.settings), choose_isolation(work.settings.isolation)
    )
    folder = work.folder / "builds"
    folder.mkdir()
    known = BuiltWheels(work.settings.caches / "built", _cache(work), work.shared)
    workshop = Workshop(
        interpreter=interpreter, isolation=isolation, indexes=work.indexes, settings=work.settings,
        access=work.access, guard=work.guard, folder=folder, known=known, say=work.journal.say,
    )  # fmt: skip
    done: dict[SourceDist, Built | RepackError] = {}
    for target in work.live:
        with work.attempting(target):
            target.plans = tuple([await _built(work, target, plan, workshop, done) for plan in target.plans])


async def _built(
    work: Work, target: TargetWork, plan: Plan, workshop: Workshop, done: dict[SourceDist, Built | RepackError]
) -> Plan:
    """Return the plan with wheels in place of its sources."""
    wheels = list(plan.wheels)
    for source in plan.builds:
        if source not in done:
            try:
                work.journal.doing(source.label)
                done[source] = await _build_one(work, source, workshop)
            except RepackError as error:
                done[source] = error
        made = done[source]
        if isinstance(made, RepackError):
            raise made
        _check_fits(made, plan)
        target.built = tuple({*target.built, made})
        target.files[made.wheel] = made.path
        wheels.append(made.wheel)
    return replace(plan, wheels=tuple(sorted(wheels, key=lambda wheel: wheel.name)), builds=())


async def _build_one(work: Work, source: SourceDist, workshop: Workshop) -> Built:
    """Build a source, or take the wheel that an earlier run made of it."""
    machine = Platform.here(work.spec.python).machine
    key = local_key(source, python=work.spec.python, machine=machine, indexes=work.indexes)
    path = await workshop.known.here(key)
    if path is None:
        if source.commit:  # git fetches it itself, so its address is looked at before
            await work.fetcher.check_address(source.url)
        made = await workshop.build(source, work.sources.get(source))
        path = await workshop.known.keep(key, made)
        work.journal.say(f"The wheel of {source.label} is {path.name}")
    else:
        work.journal.say(f"{source.label} was built in an earlier run: {path.name}")
    name, version, _, _ = parse_wheel_filename(path.name)
    size = (await in_thread(path.stat)).st_size
    wheel = Wheel(name=name, version=str(version), filename=path.name, url="", sha256=path.parent.name, size_bytes=size)
    return Built(source=source, wheel=wheel, path=path)


def _check_fits(made: Built, plan: Plan) -> None:
    """Refuse a wheel of the wrong CPU, or one that needs more than the plan holds."""
    tags = parse_wheel_filename(made.wheel.filename)[3]
    if not any(tag in plan.platform.ranks for tag in tags):
        raise_no_wheel(
            made.source.label, offered=sorted({tag.platform for tag in tags}), has_sdist=True, platform=plan.platform,
            why="its build has compiled parts for the CPU of this machine, and none can be built here for another",
        )  # fmt: skip
    if missing := unmet(made.path, plan):
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"{made.source.label} needs {', '.join(missing)} once it is built; its archive did not say so.",
            hint="Lock the plugin (`uv lock`) and pack it again: the lock says what the source depends on.",
        )


async def write(work: Work) -> None:
    """Write the offline packages."""
    outgoing = work.folder / "outgoing"
    outgoing.mkdir()
    signer = Signer(work.settings.signing_key_file) if work.settings.signing_key_file else None
    work.journal.total(sum(wheel.size_bytes or 0 for target in work.live for wheel in target.wheels) or None)
    for target in work.live:
        with work.attempting(target):
            await _write_one(work, target, outgoing, signer)


async def _write_one(work: Work, target: TargetWork, outgoing: Path, signer: Signer | None) -> None:
    plugin, name = work.the_plugin, package_name(work.the_plugin, arch=target.arch, suffix=work.spec.output.suffix)
    members = rewritten(plugin, target.arch, target.plans, target.files)
    if work.spec.mode is Mode.DUAL:
        interpreter = await find_interpreter(work.spec.python, settings=work.settings)
        folder = work.folder / f"lock-{target.arch.value}"
        members += await dual_members(plugin, target.plans, target.files, interpreter=interpreter, folder=folder)
    members += signer.members(plugin) if signer else []
    check_size(work, target, sum(member.size for member in members))
    package = outgoing / name
    target.checksum = await in_thread(
        pack, members, package, on_bytes=work.journal.moved, sign=signer.comment if signer else None
    )
    size = (await in_thread(package.stat)).st_size
    check_size(work, target, size, packed=True)
    target.package = package
    work.journal.say(f"{name}: {size:,} bytes, {len(members)} files{', signed' if signer else ''}")
