"""A worker as the Job runs it: a process with an order in its environment."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fakes.dashboard import TOKEN, FakeDashboard
from fakes.index import FakeIndex
from fakes.plugins import a_package, plugin_files

OUR_PYTHON = "{}.{}".format(*sys.version_info[:2])
STARTED: list["subprocess.Popen[str]"] = []


class Job:
    """One worker process in one folder."""

    def __init__(self, folder: Path, index: FakeIndex, ingest: FakeDashboard, **spec: Any) -> None:
        self.folder, self.termination_log = folder, folder / "termination-log"
        (folder / "token").write_text(TOKEN)
        order = {
            "uid": "uid-1", "namespace": "default", "name": "demo", "attempt": 2,
            "spec": {"targets": [{"arch": "amd64"}], "python": OUR_PYTHON, "packageIndex": {"url": index.url}, **spec},
        }  # fmt: skip
        self.env = {
            "PATH": "/usr/bin:/bin",
            "REPACK_ORDER": json.dumps(order),
            "REPACK_INGEST_URL": ingest.url,
            "REPACK_INGEST_TOKEN_FILE": str(folder / "token"),
            "REPACK_WORK_DIR": str(folder / "work"),
            "REPACK_TERMINATION_LOG": str(self.termination_log),
            "REPACK_PYTHON": sys.executable,
            "REPACK_ALLOW_PRIVATE_ADDRESSES": "true",
            "REPACK_STALL_SECONDS": "20",
            "REPACK_DOWNLOAD_ATTEMPTS": "2",
        }

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "repack_worker"]
        process = subprocess.Popen(
            command, env=self.env, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        STARTED.append(process)
        return process

    def run(self) -> int:
        with self.start() as process:
            self.output, _ = process.communicate(timeout=50)
        return process.returncode

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.termination_log.read_bytes())

    @property
    def leftovers(self) -> list[Path]:
        return [path for path in (self.folder / "work").iterdir() if path.name != "cache"]


def upload(ingest: FakeDashboard, tmp_path: Path, **files: str) -> dict[str, Any]:
    ingest.uploads["tiny.difypkg"] = a_package(tmp_path / "tiny.difypkg", plugin_files(**files)).read_bytes()
    return {"type": "Upload", "upload": {"key": "tiny.difypkg"}}
