"""The stage Build. Few plugins need it, so it is imported when one does."""

import asyncio

from msgspec.structs import replace
from packaging.utils import parse_wheel_filename

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.build import Workshop, unmet
from repack_worker.built_wheels import BuiltWheels, local_key
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.making import cache_of
from repack_worker.plan import Plan, SourceDist, Wheel, raise_no_wheel
from repack_worker.platforms import Platform
from repack_worker.threads import in_thread
from repack_worker.work import Built, TargetWork, Work


async def build(work: Work) -> None:
    """Make wheels of the sources; each is built once, and one for any CPU serves all targets."""
    interpreter, isolation = await asyncio.gather(
        find_interpreter(work.spec.python, settings=work.settings), choose_isolation(work.settings.isolation)
    )
    folder = work.folder / "builds"
    folder.mkdir()
    known = BuiltWheels(work.settings.caches / "built", cache_of(work), work.shared)
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
