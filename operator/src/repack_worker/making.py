"""The stages Download and Pack."""

from pathlib import Path

from repack_contract.choices import Mode
from repack_worker.archive import pack
from repack_worker.plan import SourceDist
from repack_worker.planning import check_size
from repack_worker.rewrite import package_name, rewritten
from repack_worker.signature import Signer
from repack_worker.threads import in_thread
from repack_worker.wheels import File, IndexOrigin, WheelCache
from repack_worker.work import TargetWork, Work


def cache_of(work: Work) -> WheelCache:
    """Return the wheel cache of this machine."""
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
    origin = IndexOrigin(
        index=work.mirror, extra=[url for url in work.indexes[1:] if url], fetcher=work.fetcher,
        access=work.access, folder=index_folder,
    )  # fmt: skip
    there = await cache_of(work).collect(
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
        from repack_worker.dual import dual_members  # noqa: PLC0415 - of this mode alone
        from repack_worker.interpreters import find_interpreter  # noqa: PLC0415

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
