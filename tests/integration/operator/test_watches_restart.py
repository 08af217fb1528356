"""A fatal error of kopf costs a restart of its watches, not of the operator."""

from typing import Any

import pytest

from operator_bench import Bench
from repack_operator import program as program_module


async def test_the_watches_are_started_again_after_a_fatal_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, starts = program_module.run_watches, []

    def fails_once(*args: Any, **kwargs: Any) -> None:
        starts.append(1)
        if len(starts) == 1:
            raise RuntimeError("a watch told something that kopf does not understand")
        real(*args, **kwargs)

    # A patch, because no server of ours can be made to send kopf the one message that it dies of.
    monkeypatch.setattr(program_module, "run_watches", fails_once)
    await bench.start_operator()
    await bench.create_task("demo")

    await bench.phase("demo", "Succeeded")
    assert len(starts) == 2
