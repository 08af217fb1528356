"""The stage Verify."""

import asyncio
import os

from repack_worker.archive import Limits, sha256_of
from repack_worker.confinement import is_possible
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.platforms import cpus
from repack_worker.threads import in_thread
from repack_worker.uv_versions import UvVersions
from repack_worker.verify import Bench, prove
from repack_worker.work import TargetWork, Work


async def prove_targets(work: Work) -> None:
    """Install each package with the network off; what does not install is not published."""
    settings, journal = work.settings, work.journal
    interpreter, isolation = await asyncio.gather(
        find_interpreter(work.spec.python, settings=settings), choose_isolation(settings.isolation)
    )
    journal.say(f"Verifying with {interpreter.executable} under {isolation.method.value} ({isolation.proof})")
    if not is_possible():
        journal.say("This kernel has no Landlock: what is imported could read what the worker can read", "warning")
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
            # While it is verified, for that is the work of other programs; none of them can write to the package.
            hashing = asyncio.create_task(in_thread(sha256_of, target.the_package))
            try:
                target.proof = await prove(
                    target.the_package, bench=bench, folder=work.folder, limits=limits, cpus=cpus(target.arch)
                )
            finally:
                target.sha256 = await hashing
            journal.say(target.proof.verification.message or "verified")

    # All are waited for: a target that fails must not cut off another one that is about to pass.
    results = await asyncio.gather(*(one(target) for target in work.live), return_exceptions=True)
    if failure := next((result for result in results if isinstance(result, BaseException)), None):
        raise failure
