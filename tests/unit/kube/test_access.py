from pathlib import Path

import pytest

from repack_kube.access import NoClusterError, access_to, find_access

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: k, cluster: {server: "http://127.0.0.1:1234"}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
users: [{name: u, user: {token: abc}}]
"""


async def test_a_kubeconfig_file_gives_server_and_token(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)

    access = await find_access(kubeconfig=file)

    assert access.server == "http://127.0.0.1:1234"
    assert await access.headers() == {"authorization": "Bearer abc"}
    assert (await access.credentials()).token == "abc"


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoClusterError, match="nowhere"):
        await find_access(kubeconfig=tmp_path / "nowhere")


async def test_outside_a_cluster_and_without_a_file_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(NoClusterError, match="no Pod of a cluster"):
        await find_access()


async def test_no_proxy_lies_before_an_api_on_this_machine() -> None:
    assert access_to("http://127.0.0.1:1").configuration.client_session_kwargs == {"trust_env": False}
    assert access_to("https://api.example.com").configuration.client_session_kwargs == {"trust_env": True}
