"""`dify-repack pack SOURCE` and `plan SOURCE`: one attempt in this process, shown while it happens."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import REASONS, Reason
from repack_contract.values import WorkResult
from repack_local import results
from repack_local.showing import loudness_of, reporter_for, show_failure
from repack_local.wishes import Wish, check_output, settings_of, wish_of
from repack_worker.attempt import Attempt, working_folder
from repack_worker.fetch import Download, Fetcher
from repack_worker.licences import licence_in, licence_of
from repack_worker.plan import Wheel
from repack_worker.report import Journal
from repack_worker.settings import Settings
from repack_worker.store import ArtifactStore, FolderStore
from repack_worker.threads import in_thread
from repack_worker.work import Work

_MAX_METADATA_BYTES = 4 << 20


async def pack(arguments: argparse.Namespace) -> int:
    """Make the packages of one source and return the exit code."""
    check_output(arguments.output)
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder, arguments)
        wish = wish_of(arguments.source, arguments, settings)
        result, _ = await attempt(wish, arguments, settings, store=FolderStore(arguments.output), folder=folder)
    if arguments.json:
        results.print_json(results.result_json(result))
    elif result.ok:
        results.print_result(result, quiet=arguments.quiet)
    return told(result)


async def plan(arguments: argparse.Namespace) -> int:
    """Say what would be made of one source and return the exit code."""
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder, arguments)
        wish = wish_of(arguments.source, arguments, settings)
        result, work = await attempt(wish, arguments, settings, store=FolderStore(folder), folder=folder)
        licences = await licences_of(work, settings, ask=arguments.licences) if work else {}
    if arguments.json:
        results.print_json(results.plan_json(result, work, licences))
    elif work:
        results.print_plan(result, work, licences, limit=settings.max_package_bytes)
    return told(result)


async def attempt(
    wish: Wish, arguments: argparse.Namespace, settings: Settings, *, store: ArtifactStore, folder: Path
) -> tuple[WorkResult, Work | None]:
    """Run one attempt and show it; return its result, and what is known of the work when it went well."""
    seen: list[Work] = []
    with reporter_for(loudness_of(arguments)) as shown:
        journal = Journal(attempt=1, reporters=[shown])
        result = await Attempt(
            spec=wish.spec, settings=settings, source=wish.source, store=store, journal=journal, folder=folder,
            on_work=seen.append,
        ).run()  # fmt: skip
    return result, seen[0] if seen else None


def told(result: WorkResult) -> int:
    """Say what went wrong, if anything did, and return the exit code of it."""
    if result.ok:
        return 0
    facts = REASONS[Reason(result.reason or Reason.INTERNAL)]
    show_failure(result.reason or "", result.message or "", result.hint or facts.hint)
    return facts.exit_code or 1


async def licences_of(work: Work, settings: Settings, *, ask: bool) -> dict[Wheel, str]:
    """Return the licence of each wheel of a plan where it is known.

    Args:
        work: a work that has been planned.
        settings: where the cache is, whose wheels state their licences.
        ask: fetch the metadata of the others from the index (PEP 658), a few kB each.
    """
    wheels = {wheel for target in work.live for wheel in target.wheels}
    cached = await asyncio.gather(
        *(in_thread(licence_of, settings.caches / "wheels" / wheel.sha256 / wheel.filename) for wheel in wheels)
    )
    known = {wheel: licence for wheel, licence in zip(wheels, cached, strict=True) if licence}
    if ask:
        async with Fetcher(settings) as fetcher:
            missing = [wheel for wheel in wheels if wheel not in known]
            asked = await asyncio.gather(*(_asked(wheel, fetcher, work.folder) for wheel in missing))
        known |= {wheel: licence for wheel, licence in zip(missing, asked, strict=True) if licence}
    return known


async def _asked(wheel: Wheel, fetcher: Fetcher, folder: Path) -> str | None:
    target = folder / f"{wheel.sha256}.metadata"
    order = Download(
        url=f"{wheel.url}.metadata", target=target, what=f"metadata of {wheel.name}", limit=_MAX_METADATA_BYTES
    )
    try:
        await fetcher.download(order)
    except RepackError:  # many indexes do not have it, and a licence that is not known is no failure
        return None
    return licence_in(target.read_text("utf-8", "replace"))
