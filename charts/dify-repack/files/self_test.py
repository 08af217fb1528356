"""What `helm test` runs: a task that needs no network, from upload to download. Standard library only.

A plugin without dependencies is made here, uploaded, and repackaged by a real task: API server, operator, Job, worker,
verification, ingest and the dashboard's store must all work for it to end well.

    python self_test.py DASHBOARD_URL [TOKEN_FILE]
"""

import hashlib
import io
import json
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

SECONDS = 240
MANIFEST = """\
version: 0.0.1
type: plugin
author: dify-repack
name: self_test
label:
  en_US: Self test
plugins:
  tools:
    - provider/self_test.yaml
meta:
  version: 0.0.1
  arch: [amd64, arm64]
  runner:
    language: python
    version: "3.12"
    entrypoint: main
"""
FILES = {
    "manifest.yaml": MANIFEST,
    "main.py": "print('self test')\n",
    "provider/self_test.yaml": "identity: {}\n",
    "requirements.txt": "# nothing, so that no package index is needed\n",
}


def plugin() -> bytes:
    """Return the package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


class Dashboard:
    """The REST interface."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Return the answer; a refusal is raised with the words of the server."""
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error


def run(dashboard: Dashboard) -> str:
    """Return a sentence about the package that was made; raise SystemExit with what went wrong."""
    headers = {"Content-Type": "application/octet-stream"}
    upload = json.loads(dashboard.call("POST", "/api/v1/uploads?filename=self_test.difypkg", plugin(), **headers))
    spec = {
        "source": {"type": "Upload", "upload": {"key": upload["key"]}},
        "targets": [{"arch": "amd64"}],
        "ttlSecondsAfterFinished": 600,
    }
    task = json.dumps({"name": f"self-test-{int(time.time())}", "spec": spec}).encode()
    view = json.loads(dashboard.call("POST", "/api/v1/tasks", task, **{"Content-Type": "application/json"}))
    path = f"/api/v1/tasks/{view['uid']}"
    deadline = time.monotonic() + SECONDS
    while (phase := view["status"].get("phase")) not in {"Succeeded", "Failed", "Cancelled"}:
        if time.monotonic() > deadline:
            raise SystemExit(f"the task {view['name']} is still {phase or 'unseen'} after {SECONDS} s")
        time.sleep(0.5)
        view = json.loads(dashboard.call("GET", path))
    status = view["status"]
    if status["phase"] != "Succeeded":
        raise SystemExit(f"the task {view['name']} ended {status['phase']}: {status.get('message')}")
    artifact = status["artifacts"][0]
    content = dashboard.call("GET", artifact["uri"])
    if hashlib.sha256(content).hexdigest() != artifact["sha256"]:
        raise SystemExit(f"the package {artifact['name']} that was downloaded is not the one that was made")
    dashboard.call("DELETE", path)
    proof = artifact["verification"]
    return f"{artifact['name']}: {artifact['sizeBytes']} bytes, verified by {proof['method']}: {proof['message']}"


def main(url: str, token_file: str = "") -> None:
    """Run the test."""
    token = Path(token_file).read_text("utf-8").strip() if token_file else ""
    sys.stdout.write(run(Dashboard(url, token)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
