"""The stages Verify and Publish."""

import asyncio
import os

from repack_contract.task import Artifact
from repack_worker.archive import Limits, sha256_of
from repack_worker.documents import companions_of
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.platforms import cpus
from repack_worker.threads import in_thread
from repack_worker.uv_versions import UvVersions
from repack_worker.verify import Bench, prove
from repack_worker.wheels import sweep
from repack_worker.work import TargetWork, Work


async def prove_targets(work: Work) -> None:
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
        depth=settings.verify,
        versions=UvVersions(settings, work.indexes, work.access, work.guard),
        slots=asyncio.Semaphore(os.cpu_count() or 2),
    )
    limits = Limits(entries=settings.max_entries * 2, total_bytes=settings.max_package_bytes * 2)

    async def one(target: TargetWork) -> None:
        with work.attempting(target):
            target.proof = await prove(
                target.the_package, bench=bench, folder=work.folder, limits=limits, cpus=cpus(target.arch)
            )
            journal.say(target.proof.verification.message or "verified")

    # All are waited for: a target that fails must not cut off another one that is about to pass.
    results = await asyncio.gather(*(one(target) for target in work.live), return_exceptions=True)
    if failure := next((result for result in results if isinstance(result, BaseException)), None):
        raise failure


async def publish(work: Work) -> None:
    """Hand the verified packages over, each with its report, its bill of materials and what is needed to trust it."""
    for target in work.live:
        package = target.the_package
        size = package.stat().st_size
        sha256 = await in_thread(sha256_of, package)
        work.journal.total(size)
        companions = await in_thread(companions_of, work, target, sha256)
        uri = await work.store.put(
            package, target=target.arch, sha256=sha256, companions=companions, on_bytes=work.journal.moved
        )
        work.artifacts.append(
            Artifact(
                target=target.arch,
                name=package.name,
                uri=uri,
                sha256=sha256,
                size_bytes=size,
                wheels=len(target.wheels),
                verification=target.proof.verification if target.proof else None,
            )
        )
        work.journal.say(f"Published {package.name} (sha256 {sha256})")
    await _sweep(work)


async def _sweep(work: Work) -> None:
    """Keep the wheel cache within its limits."""
    settings = work.settings
    freed = await in_thread(
        sweep, settings.caches / "wheels", max_bytes=settings.cache_max_bytes,
        max_age_seconds=settings.cache_max_age_days * 86_400,
    )  # fmt: skip
    if freed:
        work.journal.say(f"{freed:,} bytes of the wheel cache were not used for long and are gone")
