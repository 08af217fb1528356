"""Tasks over REST: the cluster decides, and what it refuses is explained."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_kube.errors import Cause, ForbiddenError, InvalidError, UnavailableError
from running_dashboard import Dashboard, a_dashboard, close_code, from_operator, observed

SPEC = {
    "source": {"type": "URL", "url": {"url": "https://files.test/a/My_Plugin-0.1.difypkg?token=x"}},
    "targets": [{"arch": "amd64"}],
}


async def test_a_new_task_is_named_after_its_source_and_seen_at_once(dashboard: Dashboard) -> None:
    made = await dashboard.http.post("/api/v1/tasks", json={"spec": SPEC})
    again = await dashboard.http.post("/api/v1/tasks", json={"spec": SPEC})
    assert (made.status_code, made.json()["name"]) == (201, "my-plugin-0-1")
    assert again.json()["name"] == "my-plugin-0-1-2"
    names = [item["name"] for item in (await dashboard.http.get("/api/v1/tasks")).json()["items"]]
    assert set(names) == {"demo", "my-plugin-0-1", "my-plugin-0-1-2"}


async def test_a_name_that_somebody_else_took_meanwhile_is_passed_over(dashboard: Dashboard) -> None:
    dashboard.api.put(a_task_object(uid="uid-9", name="my-plugin-0-1"))  # not known to the dashboard yet
    made = await dashboard.http.post("/api/v1/tasks", json={"spec": SPEC})
    assert made.json()["name"] == "my-plugin-0-1-2"


async def test_a_given_name_that_is_taken_is_a_conflict(dashboard: Dashboard) -> None:
    answer = await dashboard.http.post("/api/v1/tasks", json={"name": "demo", "spec": SPEC})
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    assert answer.json()["details"]["field"] == "metadata.name"


async def test_a_run_again_is_a_new_task_that_names_the_old_one(dashboard: Dashboard) -> None:
    first = (await dashboard.http.post("/api/v1/tasks/uid-1/rerun")).json()
    second = (await dashboard.http.post(f"/api/v1/tasks/{first['uid']}/rerun")).json()
    assert [first["name"], second["name"]] == ["demo-2", "demo-3"]
    assert first["labels"] == {"dify-repack.io/rerun-of": "demo"}
    assert second["labels"] == {"dify-repack.io/rerun-of": "demo-2"}
    assert first["spec"]["source"] == second["spec"]["source"]


@pytest.mark.parametrize(("verb", "state"), [("cancel", "Cancelled"), ("suspend", "Suspended"), ("resume", "Active")])
async def test_a_wish_is_written_into_the_task(dashboard: Dashboard, verb: str, state: str) -> None:
    answer = await dashboard.http.post(f"/api/v1/tasks/uid-1/{verb}")
    assert (answer.status_code, answer.json()["spec"]["desiredState"]) == (200, state)
    assert dashboard.api.objects["default", "demo"]["spec"]["desiredState"] == state


async def test_a_finished_task_never_changes(dashboard: Dashboard) -> None:
    await dashboard.ingest(from_operator(observed(a_task_object(status={"sequence": 3, "phase": "Failed"}))))
    answer = await dashboard.http.post("/api/v1/tasks/uid-1/cancel")
    assert answer.status_code == 409
    assert "Run it again" in answer.json()["hint"]


async def test_a_wish_never_reaches_another_task_of_the_same_name(dashboard: Dashboard) -> None:
    dashboard.api.put(a_task_object(uid="uid-later"))
    assert (await dashboard.http.post("/api/v1/tasks/uid-1/cancel")).status_code == 409
    assert (await dashboard.http.delete("/api/v1/tasks/uid-1")).status_code == 409
    assert dashboard.api.objects["default", "demo"]["metadata"]["uid"] == "uid-later"


async def test_a_deleted_task_is_gone_from_the_cluster_and_from_the_list(dashboard: Dashboard) -> None:
    assert (await dashboard.http.delete("/api/v1/tasks/uid-1")).status_code == 204
    assert dashboard.api.objects == {}
    answer = await dashboard.http.get("/api/v1/tasks/uid-1")
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")
    assert (await dashboard.http.get("/api/v1/tasks")).json() == {"items": [], "total": 0, "counts": {}}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (InvalidError("bad", status=422, causes=(Cause("spec.python", "spec.python is odd"),)), 422, "InvalidSpec"),
        (ForbiddenError("no rights", status=403), 403, "Forbidden"),
        (UnavailableError("connection refused"), 503, "Unavailable"),
    ],
)
async def test_what_the_cluster_refuses_is_explained(
    dashboard: Dashboard, error: Exception, status: int, reason: str
) -> None:
    dashboard.api.broken = error  # type: ignore[assignment]
    answer = await dashboard.http.post("/api/v1/tasks", json={"spec": SPEC})
    problem = answer.json()
    assert (answer.status_code, problem["reason"], problem["status"]) == (status, reason, status)
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 422:
        assert problem["details"]["field"] == "spec.python"
        assert problem["detail"] == "spec.python is odd"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({**SPEC, "surprise": 1}, "spec.surprise"),
        ({**SPEC, "targets": []}, "spec.targets"),
        ({**SPEC, "source": {"type": "URL", "url": {"url": "ftp://x"}}}, "spec.source.url.url"),
        ({**SPEC, "source": {"type": "Upload", "upload": {"key": "nothing"}}}, "spec.source.upload.key"),
    ],
)
async def test_a_wrong_field_is_named_before_the_cluster_is_asked(
    dashboard: Dashboard, spec: object, field: str
) -> None:
    answer = await dashboard.http.post("/api/v1/tasks", json={"spec": spec})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert answer.json()["reason"] == "InvalidSpec"


async def test_an_upload_becomes_a_task_named_after_the_file(dashboard: Dashboard) -> None:
    upload = (await dashboard.http.post("/api/v1/uploads?filename=Tool Box.difypkg", content=b"PK\x03\x04")).json()
    spec = {**SPEC, "source": {"type": "Upload", "upload": {"key": upload["key"]}}}
    assert (await dashboard.http.post("/api/v1/tasks", json={"spec": spec})).json()["name"] == "tool-box"


async def test_the_list_is_paged_filtered_and_counted(dashboard: Dashboard) -> None:
    for number in range(5):
        phase = "Running" if number % 2 else "Failed"
        body = a_task_object(
            uid=f"u-{number}", name=f"t-{number}", status={"sequence": 1, "phase": phase},
            metadata={"creationTimestamp": f"2026-11-23T07:00:0{number}Z"},
        )  # fmt: skip
        await dashboard.ingest(from_operator(observed(body), batch=number + 1))

    async def names(query: str) -> tuple[list[str], dict[str, object]]:
        answer = (await dashboard.http.get(f"/api/v1/tasks?{query}")).json()
        return [item["name"] for item in answer["items"]], answer

    first, page = await names("limit=4")
    rest, last = await names(f"limit=4&continue={page['continue']}")
    assert (first, rest) == (["t-4", "t-3", "t-2", "t-1"], ["t-0", "demo"])
    assert "continue" not in last
    assert page["counts"] == {"Running": 2, "Failed": 3, "Pending": 1}
    assert (await names("phase=Running,Pending"))[0] == ["t-3", "t-1", "demo"]
    assert (await names("namespace=default&name=t-2"))[0] == ["t-2"]
    assert (await names("q=T-4"))[0] == ["t-4"]
    assert (await dashboard.http.get("/api/v1/tasks?phase=Dancing")).status_code == 400
    assert (await dashboard.http.get("/api/v1/tasks?continue=x")).status_code == 400


async def test_the_page_of_another_site_may_change_nothing(dashboard: Dashboard) -> None:
    stranger = {"Origin": "https://elsewhere.test"}
    assert (await dashboard.http.post("/api/v1/tasks/uid-1/cancel", headers=stranger)).status_code == 403
    own = {"Origin": f"http://{dashboard.address}"}
    assert (await dashboard.http.post("/api/v1/tasks/uid-1/cancel", headers=own)).status_code == 200


async def test_only_the_listed_host_names_are_answered(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api, allowed_hosts=["127.0.0.1"]) as dashboard:
        assert (await dashboard.http.get("/api/v1/config")).status_code == 200
        rebound = await dashboard.http.get("/api/v1/config", headers={"Host": "evil.test"})
    assert (rebound.status_code, rebound.json()["reason"]) == (403, "Forbidden")


async def test_the_configuration_tells_the_page_what_it_needs(dashboard: Dashboard) -> None:
    config = (await dashboard.http.get("/api/v1/config")).json()
    assert config["sources"] == ["Marketplace", "GitHub", "URL", "Upload"]
    assert config["marketplace"] is True
    assert config["targets"] == ["amd64", "arm64", "universal"]
    assert config["modes"] == ["RequirementsOnly", "Dual"]
    assert config["authMode"] == "none"
    assert config["defaults"] == {
        "targets": ["amd64"], "python": "3.12", "mode": "RequirementsOnly", "suffix": "offline",
    }  # fmt: skip
    assert config["limits"]["maxUploadBytes"] > 0


async def test_metrics_and_interface_are_shown(dashboard: Dashboard) -> None:
    text = (await dashboard.http.get("/metrics")).text
    for name in ("repack_ws_connections", "repack_ws_messages_sent_total", "repack_ingest_batches_total"):
        assert name in text
    docs = (await dashboard.http.get("/docs")).text
    assert "/api/v1/tasks/{uid}/rerun" in docs
    assert "://" not in docs.replace("http://www.w3.org", "")  # nothing is fetched from elsewhere


async def test_the_page_is_served_for_every_address_of_its_own(tmp_path: Path, api: FakeTaskApi) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<html><script>dark()</script><script src=/assets/x.js></script></html>")
    (static / "assets" / "index-BdYx9a_1.js").write_text("1")
    (static / "favicon.svg").write_text("<svg/>")
    async with a_dashboard(tmp_path, api=api) as dashboard:
        page = await dashboard.http.get("/tasks/default/demo")
        asset = await dashboard.http.get("/assets/index-BdYx9a_1.js")
        icon = await dashboard.http.get("/favicon.svg")
        missing = await dashboard.http.get("/assets/old.js")
        unknown = await dashboard.http.get("/api/v1/nothing")
        escape = await dashboard.http.get("/..%2f..%2fetc/passwd")
    assert page.text.startswith("<html>")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "default-src 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert icon.headers["cache-control"] == "no-cache"
    assert (missing.status_code, unknown.status_code) == (404, 404)
    assert unknown.headers["content-type"] == "application/problem+json"
    assert "root:" not in escape.text


async def test_the_client_for_use_alone_has_a_lasting_name_so_it_is_not_kept(tmp_path: Path, api: FakeTaskApi) -> None:
    client = tmp_path / "static" / "client"
    client.mkdir(parents=True)
    for name in ("taskws.js", "taskws.d.ts", "example-of-a-page.html"):
        (client / name).write_text("// text")
    async with a_dashboard(tmp_path, api=api) as dashboard:
        module = await dashboard.http.get("/client/taskws.js")
        types = await dashboard.http.get("/client/taskws.d.ts")
        page = await dashboard.http.get("/client/example-of-a-page.html")
        missing = await dashboard.http.get("/client/other.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    assert types.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.headers["content-type"].startswith("text/html")
    assert {each.headers["cache-control"] for each in (module, types, page)} == {"no-cache"}
    assert missing.status_code == 404


async def test_without_a_built_page_it_says_how_to_build_it(dashboard: Dashboard) -> None:
    assert "make setup" in (await dashboard.http.get("/")).text


async def test_before_the_cluster_answered_the_list_is_unknown_and_not_empty(tmp_path: Path) -> None:
    api = FakeTaskApi()
    api.broken = UnavailableError("connection refused")
    async with a_dashboard(tmp_path, api=api) as dashboard:
        answer = await dashboard.http.get("/api/v1/tasks")
        async with dashboard.socket("/ws/tasks?v=1") as socket:
            code = await close_code(socket)
    assert (answer.status_code, answer.json()["reason"], code) == (503, "Unavailable", 1013)


async def test_a_task_that_is_newer_than_our_list_is_found_by_uid_and_by_name(dashboard: Dashboard) -> None:
    dashboard.api.put(a_task_object(uid="uid-2", name="second"))
    assert (await dashboard.http.get("/api/v1/tasks/uid-2")).json()["name"] == "second"
    dashboard.api.put(a_task_object(uid="uid-3", name="third"))
    found = (await dashboard.http.get("/api/v1/tasks?namespace=default&name=third")).json()
    assert [item["uid"] for item in found["items"]] == ["uid-3"]


async def test_a_body_that_is_no_file_is_bounded(dashboard: Dashboard) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 10_000

    answer = await dashboard.http.post("/api/v1/tasks", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 413}
    assert answer.headers["content-type"] == "application/problem+json"
