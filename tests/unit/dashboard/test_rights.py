"""A right that the dashboard lacks is named; what it cannot do its work without keeps it from being ready."""

import asyncio
from typing import Any

import pytest

from repack_dashboard import rights as module
from repack_dashboard.rights import Rights, needs
from repack_dashboard.settings import Settings
from repack_kube.errors import NotFoundError
from repack_kube.resources import Object


class Judge:
    """An API server that knows which rights we lack."""

    def __init__(self, *lacking: str) -> None:
        self.lacking = set(lacking)
        self.asked: list[Object] = []
        self.knows_reviews = True

    async def create(self, resource: Any, body: Object) -> Object:
        if not self.knows_reviews:
            raise NotFoundError("no such kind", status=404)
        wish = body["spec"]["resourceAttributes"]
        self.asked.append(wish)
        return body | {"status": {"allowed": f"{wish['verb']} {wish['resource']}" not in self.lacking}}


def the_settings(**settings: Any) -> Settings:
    return Settings(host="127.0.0.1", ingest_auth="kubernetes", **settings)


def vital(**settings: Any) -> set[str]:
    return {
        f"{need.right.verb} {need.right.resource.plural}" for need in needs(the_settings(**settings)) if need.is_vital
    }


def test_what_is_vital_depends_on_whom_is_asked_who_somebody_is() -> None:
    assert vital() == {"list repackagetasks", "get pods", "create tokenreviews"}
    assert vital(auth_mode="kubernetes") - vital() == {"create subjectaccessreviews"}
    alone = Settings(host="127.0.0.1", ingest_auth="token")
    assert {str(need.right.resource.plural) for need in needs(alone) if need.is_vital} == {"repackagetasks"}


async def test_a_right_that_only_some_requests_need_is_named_and_does_no_more() -> None:
    rights = Rights(Judge("delete repackagetasks", "list events"), the_settings(watch_namespaces=["team-a"]))
    await rights.check()

    assert rights.sentences == [
        "the dashboard may not delete repackagetasks (dify-repack.io) in namespace team-a",
        "the dashboard may not list events in namespace team-a",
    ]
    assert not rights.is_vital_missing


async def test_reviews_have_no_namespace_and_the_rest_is_asked_in_each() -> None:
    judge = Judge("create tokenreviews")
    rights = Rights(judge, the_settings(watch_namespaces=["team-a", "team-b"]))
    await rights.check()

    assert rights.is_vital_missing
    assert rights.sentences == ["the dashboard may not create tokenreviews (authentication.k8s.io)"]
    places = {wish.get("namespace") for wish in judge.asked if wish["resource"] == "repackagetasks"}
    assert places == {"team-a", "team-b"}
    assert [wish.get("namespace") for wish in judge.asked if wish["resource"] == "tokenreviews"] == [None]


async def test_what_was_missing_is_looked_for_again_and_a_refusal_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    judge = Judge("get pods")
    rights = Rights(judge, the_settings())
    running = asyncio.create_task(rights.run())
    try:
        await until(lambda: rights.is_vital_missing)
        judge.lacking.clear()
        await until(lambda: not rights.missing)
        judge.lacking.add("patch repackagetasks")
        rights.refused()
        await until(lambda: rights.missing)
    finally:
        running.cancel()


async def test_an_api_server_that_knows_no_such_question_is_believed_to_allow_everything() -> None:
    judge = Judge("get pods")
    judge.knows_reviews = False
    rights = Rights(judge, the_settings())
    await rights.check()

    assert rights.missing == ()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a condition of a plain value
            await asyncio.sleep(0.01)
