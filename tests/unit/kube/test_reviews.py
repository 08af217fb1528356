"""What is asked of the API server about a token or a right, and how its answers are read."""

from typing import Any

import pytest

from repack_kube.resources import TASKS, Object, Resource
from repack_kube.reviews import Identity, review_access, review_token


class Api:
    """Answers every review with one status, and keeps what it was asked."""

    def __init__(self, **status: Any) -> None:
        self.status = status
        self.asked: list[Object] = []

    async def create(self, resource: Resource, body: Object) -> Object:
        self.asked.append(body)
        return {"status": self.status}


EXTRA = {"authentication.kubernetes.io/pod-name": ["p"], "authentication.kubernetes.io/pod-uid": ["u"]}
USER = {"username": "system:serviceaccount:ns:worker", "uid": "1", "groups": ["a", "b"], "extra": EXTRA}


async def test_a_valid_token_tells_its_user_namespace_and_pod() -> None:
    who = await review_token(Api(authenticated=True, user=USER, audiences=["x"]), "t", audiences=["x"])
    assert who is not None
    assert (who.username, who.namespace, who.pod, who.groups) == (USER["username"], "ns", ("p", "u"), ("a", "b"))
    assert (Identity("ann").namespace, Identity("ann").pod) == (None, None)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False},
        {"authenticated": "true", "user": USER, "audiences": ["x"]},
        {"authenticated": True, "user": USER},  # a server that knows nothing of audiences
        {"authenticated": True, "user": USER, "audiences": ["y"]},
    ],
)
async def test_a_token_that_is_not_valid_or_not_made_for_us_is_nobodys(status: dict[str, Any]) -> None:
    assert await review_token(Api(**status), "t", audiences=["x"]) is None


async def test_a_right_is_asked_for_with_all_that_is_known_of_the_user() -> None:
    api = Api(allowed=True)
    who = Identity("ann", "1", ("a",), (("scope", ("s",)),))
    assert await review_access(api, who, verb="list", resource=TASKS, namespace=None)
    assert await review_access(api, who, verb="patch", resource=TASKS, namespace="mine")
    everywhere, mine = (body["spec"] for body in api.asked)
    assert (mine["user"], mine["uid"], mine["groups"], mine["extra"]) == ("ann", "1", ["a"], {"scope": ["s"]})
    assert "namespace" not in everywhere["resourceAttributes"]
    assert mine["resourceAttributes"] == {
        "verb": "patch", "group": "dify-repack.io", "version": "v1alpha1", "resource": "repackagetasks",
        "namespace": "mine",
    }  # fmt: skip
    assert not await review_access(Api(allowed=False), who, verb="list", resource=TASKS, namespace=None)
    assert not await review_access(Api(), who, verb="list", resource=TASKS, namespace=None)
