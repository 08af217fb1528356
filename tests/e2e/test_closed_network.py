"""A closed network: an index with a login and a certificate of the company's own, a proxy, a signing key, a token.

The rights are given in three namespaces only, so that this is the test of `rbac.scope: namespaces` too.
"""

import base64
import json
import subprocess
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from e2e_cluster import HOME, RELEASE, TEAM, Cluster, Object, index_files, install, serve, served_files, task, uninstall
from private_authority import Authority, signing_key
from requirements import require_command

INDEX = f"index.{TEAM}.svc"
LOGIN = ("builder", "a-password-of-the-index")
TOKEN = "a-token-that-was-there-before"
OUTSIDE = "http://plugins.example.test/good.difypkg"
"""Only the proxy knows this host."""


def prepare(cluster: Cluster, namespace: str, *, password: str, authority: str) -> None:
    """Make what Jobs mount in a namespace of tasks."""
    netrc = f"machine {INDEX} login {LOGIN[0]} password {password}\n"
    cluster.apply(
        secret("signing-key", {"private.pem": signing_key()}),
        secret("index-logins", {"netrc": netrc}),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "company-ca"}, "data": {"ca.crt": authority}},
        namespace=namespace,
    )


def secret(name: str, data: dict[str, str]) -> Object:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


@pytest.fixture(scope="module")
def closed(cluster: Cluster) -> Iterator[Cluster]:
    """An installation with everything of its own."""
    authority = Authority()
    serve(cluster, "index", index_files(), certificate=authority.server(INDEX), login=":".join(LOGIN), port=443)
    serve(cluster, "proxy", {"good.difypkg": served_files()["good.difypkg"]}, port=3128)
    prepare(cluster, TEAM, password=LOGIN[1], authority=authority.pem)
    for name in ("stranger", "distrustful"):
        cluster.ensure_namespace(f"{TEAM}-{name}")
    prepare(cluster, f"{TEAM}-stranger", password="not-the-password", authority=authority.pem)
    prepare(cluster, f"{TEAM}-distrustful", password=LOGIN[1], authority=Authority().pem)
    cluster.apply(secret("my-token", {"page": TOKEN}), namespace=HOME)
    worker = {
        "indexUrl": f"https://{INDEX}/simple/",
        "signingKey": {"name": "signing-key"},
        "netrc": {"name": "index-logins"},
        "caBundle": {"configMap": "company-ca"},
        "proxy": {"http": f"http://proxy.{TEAM}.svc:3128"},
        "allowedPrivateHosts": [f"files.{TEAM}.svc"],
    }
    values: Object = {
        "rbac": {"scope": "namespaces"},
        "namespaces": [TEAM, f"{TEAM}-stranger", f"{TEAM}-distrustful"],
        "worker": worker,
        "dashboard": {"auth": {"existingSecret": {"name": "my-token", "key": "page"}}},
    }
    install(cluster, values)
    yield cluster
    uninstall(cluster)
    cluster.kubectl("delete", "namespace", f"{TEAM}-stranger", f"{TEAM}-distrustful", "--wait=false")
    cluster.kubectl("-n", TEAM, "delete", "pod", "index", "proxy", "--wait=false")


def test_a_package_of_a_private_index_is_signed_and_verified_outside_with_the_key_that_is_handed_out(
    closed: Cluster, tmp_path: Path
):
    closed.apply(task("signed"))
    status = closed.finished("signed")
    assert status["phase"] == "Succeeded", status
    (artifact,) = status["artifacts"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        closed.forward(f"svc/{RELEASE}-dashboard", "http") as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as page,
    ):
        assert page.get(artifact["uri"]).status_code == httpx.codes.UNAUTHORIZED
        content = page.get(artifact["uri"], headers=headers).raise_for_status().content
        key = page.get(f"{artifact['uri']}/public_key.pem", headers=headers).raise_for_status().content
    package = tmp_path / artifact["name"]
    package.write_bytes(content)
    (tmp_path / "key.pem").write_bytes(key)
    with zipfile.ZipFile(package) as archive:
        claim = json.loads(archive.comment)
        digests = b"".join(sha256(archive.read(entry)).digest() for entry in archive.infolist())
    (tmp_path / "signature").write_bytes(base64.b64decode(claim["signature"]))
    (tmp_path / "signed").write_bytes(digests + str(claim["time"]).encode())
    # As Dify checks it (repackaging.md 4.4), by a program that is not ours.
    openssl = require_command("openssl", install="apt-get install openssl")
    command = [openssl, "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"]
    checked = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("namespace", "words"), [("stranger", "401"), ("distrustful", "certificate")], ids=["login", "certificate"]
)
def test_without_the_login_or_the_certificate_the_index_gives_nothing_and_the_task_says_so(
    closed: Cluster, namespace: str, words: str
):
    closed.apply(task("refused", retry={"limit": 0}), namespace=f"{TEAM}-{namespace}")
    status = closed.finished("refused", namespace=f"{TEAM}-{namespace}")
    assert (status["phase"], status["reason"]) == ("Failed", "IndexUnreachable"), status
    assert words in status["message"]
    assert "Hint:" in status["message"]


def test_what_is_outside_is_fetched_by_the_proxy(closed: Cluster):
    source = {"type": "URL", "url": {"url": OUTSIDE}}
    closed.apply(task("outside", source=source))
    status = closed.finished("outside")
    assert status["phase"] == "Succeeded", status
    assert f"as a proxy: {OUTSIDE}" in closed.kubectl("-n", TEAM, "logs", "proxy")


def started(pod: Object) -> bool:
    """Tell whether a worker ran; Pods of other tests may still wait for an image, and have written nothing."""
    return any({"running", "terminated"} & set(each["state"]) for each in pod["status"].get("containerStatuses", ()))


def test_no_secret_is_in_what_workers_and_programs_wrote(closed: Cluster):
    closed.apply(task("quiet", "locked"))
    closed.finished("quiet")
    pods = closed.get("pods", "", "-l", "app.kubernetes.io/managed-by=dify-repack-operator")["items"]
    said = [closed.kubectl("-n", TEAM, "logs", pod["metadata"]["name"]) for pod in pods if started(pod)]
    assert len(said) >= 1
    said += [closed.kubectl("-n", HOME, "logs", f"deploy/{RELEASE}-{part}") for part in ("operator", "dashboard")]
    assert all(said)
    for text in said:
        assert LOGIN[1] not in text
        assert TOKEN not in text
        assert "PRIVATE KEY" not in text
