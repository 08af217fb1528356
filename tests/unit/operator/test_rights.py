"""A right that is missing is named at once, and waited for."""

import asyncio
from typing import Any

import pytest

from repack_kube.errors import NotFoundError, UnavailableError
from repack_kube.resources import Object
from repack_operator import rights as module
from repack_operator.health import Health
from repack_operator.rights import Rights
from repack_operator.settings import Settings


class Judge:
    """An API server that knows which rights we lack."""

    def __init__(self, *lacking: str) -> None:
        self.lacking = set(lacking)
        self.asked: list[Object] = []
        self.error: Exception | None = None

    async def create(self, resource: Any, body: Object) -> Object:
        if self.error is not None:
            raise self.error
        wish = body["spec"]["resourceAttributes"]
        self.asked.append(wish)
        name = f"{wish['verb']} {'/'.join(filter(None, (wish['resource'], wish.get('subresource', ''))))}"
        return body | {"status": {"allowed": name not in self.lacking}}


def the_rights(judge: Judge, **settings: Any) -> tuple[Rights, Health]:
    health = Health(clock=lambda: 0.0, silence_seconds=90)
    return Rights(judge, Settings(**settings), health), health  # type: ignore[arg-type]


async def lacks_something(health: Health) -> None:
    async with asyncio.timeout(5):
        while not health.missing:  # noqa: ASYNC110 - a condition of a plain value
            await asyncio.sleep(0.01)


async def test_with_all_rights_nothing_is_said() -> None:
    rights, health = the_rights(Judge())

    await asyncio.wait_for(rights.complete(), timeout=5)

    assert "may not" not in health.complaint


@pytest.mark.fault(16, "the reviews say no")
async def test_a_missing_right_is_named_and_its_coming_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    judge = Judge("patch repackagetasks/status", "create jobs")
    rights, health = the_rights(judge, namespaces=["team-a"])
    waiting = asyncio.create_task(rights.complete())
    await lacks_something(health)

    assert health.complaint == (
        "the operator may not patch repackagetasks/status (dify-repack.io) in namespace team-a; "
        "create jobs (batch) in namespace team-a"
    )
    judge.lacking.clear()
    await asyncio.wait_for(waiting, timeout=5)
    assert not health.missing


@pytest.mark.fault(16, "a right is taken away")
async def test_a_refusal_later_on_makes_it_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge()
    rights, health = the_rights(judge)
    await rights.complete()
    watching = asyncio.create_task(rights.watch_over())
    judge.lacking.add("delete jobs")

    rights.refused()
    await lacks_something(health)

    assert "delete jobs" in health.complaint
    watching.cancel()


@pytest.mark.parametrize("error", [NotFoundError("no such review"), UnavailableError("away")])
async def test_an_api_server_that_cannot_be_asked_holds_nothing_up(error: Exception) -> None:
    judge = Judge()
    judge.error = error
    rights, health = the_rights(judge)

    await asyncio.wait_for(rights.complete(), timeout=5)

    assert not health.missing


async def test_the_right_to_write_events_is_asked_for_only_where_they_are_written() -> None:
    for told in (True, False):
        judge = Judge()
        rights, _ = the_rights(judge, kubernetes_events=told)
        await rights.complete()
        assert any(wish["resource"] == "events" for wish in judge.asked) is told
