"""The operator as a process of its own, as it is run in a container; tests may stop it in every way there is."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

SHORT_LEASE = {"LEADER_ELECTION": "true", "LEASE_NAMESPACE": "default", "LEASE_SECONDS": "4",
               "LEASE_RENEW_SECONDS": "2.5", "LEASE_RETRY_SECONDS": "0.5"}  # fmt: skip
"""An election whose terms are short enough for tests; everything else is as in a cluster."""


@dataclass
class OperatorProcess:
    process: "subprocess.Popen[bytes]"
    log_file: Path

    @classmethod
    def start(cls, kubeconfig: Path, log_file: Path, **settings: str) -> "OperatorProcess":
        """Start it; `settings` are named as in `REPACK_OPERATOR_*`."""
        environment = {
            "PATH": os.environ["PATH"],
            "REPACK_OPERATOR_KUBECONFIG": str(kubeconfig),
            "REPACK_OPERATOR_HEALTH_HOST": "127.0.0.1",
            "REPACK_OPERATOR_HEALTH_PORT": "0",
            **{f"REPACK_OPERATOR_{name}": value for name, value in settings.items()},
        }
        with log_file.open("ab") as log:
            command = [sys.executable, "-m", "repack_operator"]
            return cls(subprocess.Popen(command, env=environment, stdout=log, stderr=log), log_file)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def port(self) -> int | None:
        for line in self.log.splitlines():
            if "health and metrics are served" in line:
                return int(json.loads(line)["port"])
        return None

    def is_ready(self) -> bool:
        return self._get("/readyz").startswith("ok")

    def leads(self) -> bool:
        return self.metric("repack_leader") == 1

    def metric(self, series: str) -> float | None:
        """The value of a series as it is written in the exposition; None while it is not there."""
        match = re.search(rf"^{re.escape(series)} (\S+)$", self._get("/metrics"), re.MULTILINE)
        return float(match.group(1)) if match else None

    def _get(self, path: str) -> str:
        if self.port is None:
            return ""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=2, trust_env=False).text
        except httpx.HTTPError:
            return ""

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to say goodbye; harmless when it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)

    def terminate(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)
