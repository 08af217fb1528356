from collections.abc import AsyncIterator

from fakes.scripted_api import Answer, ScriptedApi, refusal
from repack_kube.client import KubeCluster
from repack_kube.resources import TASKS
from repack_kube.watch import Alive, Change, Gone, Interrupted, Seen, Synced, observe


def an_object(uid: str, version: str = "1") -> dict[str, object]:
    return {"metadata": {"uid": uid, "name": uid, "namespace": "n", "resourceVersion": version}}


def a_list(*uids: str, version: str) -> Answer:
    return Answer(body={"metadata": {"resourceVersion": version}, "items": [an_object(uid) for uid in uids]})


def event(kind: str, uid: str, version: str) -> dict[str, object]:
    return {"type": kind, "object": an_object(uid, version)}


async def no_wait(_seconds: float) -> None:
    return None


async def first(changes: AsyncIterator[Change], count: int) -> list[Change]:
    """Return the first changes, without the signs of life."""
    found: list[Change] = []
    async for change in changes:
        if not isinstance(change, Alive):
            found.append(change)
        if len(found) == count:
            break
    return found


def told(changes: list[Change]) -> list[str]:
    return [
        f"{'ghost' if isinstance(c, Gone) and c.ghost else type(c).__name__}:{c.object['metadata']['uid']}"
        if isinstance(c, Seen | Gone) else type(c).__name__
        for c in changes
    ]  # fmt: skip


async def test_what_exists_is_listed_before_changes_are_told(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(
        a_list("a", version="5"),
        Answer(lines=[event("ADDED", "b", "6"), event("MODIFIED", "a", "7"), event("DELETED", "b", "8")], hang=True),
    )

    changes = await first(observe(cluster, TASKS), 5)

    assert told(changes) == ["Seen:a", "Synced", "Seen:b", "Seen:a", "Gone:b"]
    assert api.asked[1].query["resourceVersion"] == "5"
    assert api.asked[1].query["allowWatchBookmarks"] == "true"


async def test_a_watch_that_ended_is_resumed_from_the_last_version_or_bookmark(
    api: ScriptedApi, cluster: KubeCluster
) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}
    api.will_answer(a_list(version="5"), Answer(lines=[bookmark]), Answer(lines=[event("ADDED", "b", "91")], hang=True))

    changes = await first(observe(cluster, TASKS), 2)

    assert told(changes) == ["Synced", "Seen:b"]
    assert api.asked[2].query["resourceVersion"] == "90"


async def test_a_version_that_is_gone_makes_a_new_list_and_reports_what_vanished(
    api: ScriptedApi, cluster: KubeCluster
) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    api.will_answer(a_list("g1", "g2", version="5"), Answer(lines=[gone]), a_list("g2", version="50"))

    changes = await first(observe(cluster, TASKS), 6)

    assert told(changes) == ["Seen:g1", "Seen:g2", "Synced", "ghost:g1", "Seen:g2", "Synced"]


async def test_a_silent_watch_is_given_up_and_resumed(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(
        a_list(version="5"), Answer(lines=[], hang=True), Answer(lines=[event("ADDED", "b", "6")], hang=True)
    )

    changes = await first(observe(cluster, TASKS, sleep=no_wait), 3)

    assert told(changes) == ["Synced", "Interrupted", "Seen:b"]


async def test_an_outage_is_told_and_survived(api: ScriptedApi, cluster: KubeCluster) -> None:
    api.will_answer(
        a_list("a", version="5"),
        Answer(drop=True),
        Answer(drop=True),  # aiohttp itself asks once more when a kept connection turns out to be dead
        refusal(500, "InternalError"),
        refusal(403, "Forbidden"),
        Answer(lines=[event("MODIFIED", "a", "6")], hang=True),
    )

    changes = await first(observe(cluster, TASKS, sleep=no_wait), 6)

    assert told(changes) == ["Seen:a", "Synced", "Interrupted", "Interrupted", "Interrupted", "Seen:a"]
    assert isinstance(changes[2], Interrupted)


async def test_a_long_object_arrives_whole(api: ScriptedApi, cluster: KubeCluster) -> None:
    large = event("ADDED", "b", "6")
    large["object"]["padding"] = "x" * 1_500_000  # type: ignore[index]
    api.will_answer(a_list(version="5"), Answer(lines=[large], hang=True))

    changes = await first(observe(cluster, TASKS), 2)

    assert isinstance(changes[0], Synced)
    assert isinstance(changes[1], Seen)
    assert len(changes[1].object["padding"]) == 1_500_000
