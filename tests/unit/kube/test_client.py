import pytest

from fakes.scripted_api import Answer, ScriptedApi, refusal
from repack_kube.client import KubeCluster
from repack_kube.errors import (
    ConflictError,
    ExistsError,
    FencedError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from repack_kube.resources import JOBS, PODS, TASKS, Scope
from repack_kube.transport import CallMade


async def test_a_request_carries_the_token_and_names_the_object(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer(body={"metadata": {"name": "a"}}))

    assert await cluster.get(TASKS, "a", namespace="team") == {"metadata": {"name": "a"}}

    assert api.asked[0].path == "/apis/dify-repack.io/v1alpha1/namespaces/team/repackagetasks/a"
    assert api.asked[0].headers["authorization"] == "Bearer secret"


async def test_a_list_is_read_page_by_page(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(
        Answer(body={"metadata": {"resourceVersion": "7", "continue": "next"}, "items": [{"n": 1}]}),
        Answer(body={"metadata": {"resourceVersion": "7"}, "items": [{"n": 2}]}),
    )

    found = await cluster.list(JOBS, Scope(labels="dify-repack.io/task"))

    assert found.items == [{"n": 1}, {"n": 2}]
    assert found.resource_version == "7"
    assert api.asked[0].path == "/apis/batch/v1/jobs"
    assert api.asked[0].query["labelSelector"] == "dify-repack.io/task"
    assert api.asked[1].query["continue"] == "next"


async def test_a_list_whose_pages_grew_too_old_starts_again(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(
        Answer(body={"metadata": {"resourceVersion": "7", "continue": "next"}, "items": [{"n": 1}]}),
        refusal(410, "Expired"),
        Answer(body={"metadata": {"resourceVersion": "9"}, "items": [{"n": 2}]}),
    )

    assert (await cluster.list(PODS)).items == [{"n": 2}]


async def test_a_status_is_merged_into_the_subresource(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer())

    await cluster.patch_status(TASKS, "a", {"metadata": {"resourceVersion": "3"}, "status": {}}, namespace="n")

    assert api.asked[0].path.endswith("/repackagetasks/a/status")
    assert api.asked[0].headers["content-type"] == "application/merge-patch+json"
    assert api.asked[0].body["metadata"]["resourceVersion"] == "3"


async def test_a_delete_names_the_uid_and_what_happens_to_dependents(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer())

    await cluster.delete(JOBS, "j", namespace="n", uid="u1")

    assert api.asked[0].body["preconditions"] == {"uid": "u1"}
    assert api.asked[0].body["propagationPolicy"] == "Background"


async def test_a_pod_log_is_text(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer(text="one\ntwo\n"))

    assert await cluster.pod_log("p", namespace="n", tail_lines=2) == "one\ntwo\n"
    assert api.asked[0].query == {"tailLines": "2"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(404, "NotFound"), NotFoundError),
        (refusal(409, "Conflict"), ConflictError),
        (refusal(409, "AlreadyExists"), ExistsError),
        (refusal(410, "Expired"), GoneError),
        (refusal(401, "Unauthorized"), ForbiddenError),
        (refusal(403, "Forbidden"), ForbiddenError),
        (refusal(403, "Forbidden", "exceeded quota: jobs"), QuotaError),
        (refusal(422, "Invalid"), InvalidError),
        (refusal(400, "BadRequest"), InvalidError),
        (refusal(418, "Teapot"), KubeError),
    ],
)
async def test_every_refusal_has_its_error_and_is_not_repeated(
    api: ScriptedApi, cluster: KubeCluster, answer: Answer, kind: type[KubeError]
) -> None:
    api.will_answer(answer)

    with pytest.raises(kind) as caught:
        await cluster.get(TASKS, "a", namespace="n")

    assert type(caught.value) is kind
    assert len(api.asked) == 1


async def test_an_invalid_object_names_the_fields(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(refusal(422, "Invalid", causes=[{"field": "spec.python", "message": "should match"}]))

    with pytest.raises(InvalidError) as caught:
        await cluster.create(TASKS, {"metadata": {"name": "a", "namespace": "n"}})

    assert caught.value.causes[0].field == "spec.python"


async def test_a_read_is_repeated_until_the_server_answers(
    api: ScriptedApi, cluster: KubeCluster, calls: list[CallMade]
) -> None:
    cut = [Answer(drop=True)] * 2  # aiohttp itself asks once more when a kept connection turns out to be dead
    api.will_answer(refusal(503, "ServiceUnavailable"), *cut, Answer(body={"ok": True}))

    assert await cluster.get(JOBS, "j", namespace="n") == {"ok": True}

    assert [(call.verb, call.resource, call.code) for call in calls] == [
        ("get", "jobs", 503), ("get", "jobs", 0), ("get", "jobs", 200),
    ]  # fmt: skip


async def test_the_time_that_the_server_asks_for_is_waited(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer(status=429, headers={"Retry-After": "0"}), Answer(body={"ok": True}))

    assert await cluster.create(JOBS, {"metadata": {"name": "j", "namespace": "n"}}) == {"ok": True}


async def test_a_long_wait_is_left_to_the_caller(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer(status=429, headers={"Retry-After": "60"}))

    with pytest.raises(UnavailableError) as caught:
        await cluster.get(JOBS, "j", namespace="n")

    assert caught.value.retry_after_seconds == 60


async def test_a_create_whose_answer_was_lost_is_not_repeated(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(Answer(drop=True))

    with pytest.raises(UnavailableError):
        await cluster.create(JOBS, {"metadata": {"name": "j", "namespace": "n"}})

    assert len(api.asked) == 1


async def test_an_answer_that_is_no_json_is_an_error_not_a_crash(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(*[Answer(text="<html>a proxy's page</html>")] * 9)

    with pytest.raises(UnavailableError, match="not JSON"):
        await cluster.get(JOBS, "j", namespace="n")


async def test_who_does_not_lead_writes_nothing_and_may_still_read(api: ScriptedApi, cluster: KubeCluster) -> None:
    cluster.write_only_while(lambda: False)
    api.will_answer(Answer(body={"metadata": {"name": "demo"}}))

    with pytest.raises(FencedError):
        await cluster.create(TASKS, {"metadata": {"namespace": "ns", "name": "demo"}})
    with pytest.raises(FencedError):
        await cluster.patch_status(TASKS, "demo", {"status": {}}, namespace="ns")
    with pytest.raises(FencedError):
        await cluster.delete(TASKS, "demo", namespace="ns")
    await cluster.get(TASKS, "demo", namespace="ns")

    assert [asked.method for asked in api.asked] == ["GET"]
