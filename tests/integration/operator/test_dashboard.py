"""What the dashboard is told of real lives of tasks, and what comes back."""

import pytest

from fakes.ingest import fake_ingest
from fakes.job_controller import runs
from operator_bench import Bench
from repack_contract.events import ProgressDigest
from repack_contract.phases import Stage


async def test_every_step_of_a_task_reaches_the_dashboard_in_order(bench: Bench) -> None:
    async with fake_ingest() as ingest:
        await bench.start_operator(ingest_url=ingest.url)
        created = await bench.create_task("demo")
        await bench.phase("demo", "Succeeded")

        uid = created["metadata"]["uid"]
        await bench.until(lambda: (uid, "Succeeded") in ingest.tasks, "the last step")
        sequences = [
            e.task.status.sequence or 0 for e in ingest.events if e.kind == "task" and e.task.metadata.uid == uid
        ]
        assert sequences == sorted(sequences)
        await bench.stop_operator()


async def test_a_deleted_task_is_told(bench: Bench) -> None:
    async with fake_ingest() as ingest:
        await bench.start_operator(ingest_url=ingest.url)
        created = await bench.create_task("demo", ttlSecondsAfterFinished=0)

        uid = created["metadata"]["uid"]
        await bench.until(lambda: any(e.kind == "removed" and e.uid == uid for e in ingest.events), "the removal")
        await bench.stop_operator()


async def test_progress_is_copied_to_the_status_and_is_no_transition(bench: Bench) -> None:
    bench.player.default = runs
    async with fake_ingest() as ingest:
        await bench.start_operator(ingest_url=ingest.url)
        created = await bench.create_task("demo")
        running = await bench.phase("demo", "Running")
        uid = created["metadata"]["uid"]

        ingest.progress = [ProgressDigest(uid=uid, attempt=1, percent=40, step=Stage.DOWNLOAD, message="numpy")]

        async def copied() -> bool:
            return (await bench.task("demo"))["status"].get("progress", {}).get("percent") == 40

        await bench.until(copied, "the copy")
        assert (await bench.task("demo"))["status"]["sequence"] == running["status"]["sequence"]
        await bench.stop_operator()


@pytest.mark.fault(4, "nobody listens")
async def test_work_does_not_wait_for_a_dashboard_that_is_away(bench: Bench) -> None:
    await bench.start_operator(ingest_url="http://127.0.0.1:1")
    await bench.create_task("demo")

    await bench.phase("demo", "Succeeded", seconds=5)
