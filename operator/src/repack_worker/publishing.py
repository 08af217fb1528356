"""The stage Publish."""

from repack_contract.values import Artifact
from repack_worker.archive import sha256_of
from repack_worker.documents import companions_of
from repack_worker.sweeping import sweep_caches
from repack_worker.threads import in_thread
from repack_worker.work import Work


async def publish(work: Work) -> None:
    """Hand the verified packages over, each with its report, its bill of materials and what is needed to trust it."""
    for target in work.live:
        package = target.the_package
        size = package.stat().st_size
        sha256 = target.sha256 or await in_thread(sha256_of, package)
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
    await sweep_caches(work.settings, work.journal.say)
