"""The command `dify-repack` as people run it: a process with a home of its own."""

import subprocess
import sys
from pathlib import Path

OUR_PYTHON = "{}.{}".format(*sys.version_info[:2])


class Command:
    """The command with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        self.processes: list[subprocess.Popen[str]] = []
        self.env = {
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(self.temporary),
            "REPACK_PYTHON": sys.executable, "REPACK_DOWNLOAD_ATTEMPTS": "2", "COLUMNS": "200",
        }  # fmt: skip

    def start(self, *words: str) -> "subprocess.Popen[str]":
        script = "import sys; from repack_local.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", script, *words]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=50)
        return process.returncode, out, err

    @property
    def leftovers(self) -> list[Path]:
        return list(self.temporary.iterdir())
