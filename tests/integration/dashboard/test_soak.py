"""The short form of `make soak`: churn and faults, without the storm, with the browsers' own client in Node."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "dashboard/server/src/repack_dashboard/static/client/taskws.js"


@pytest.mark.timeout(150)
def test_clients_that_come_and_go_behind_a_network_that_breaks_see_what_the_server_knows_and_leave_nothing_behind() -> (
    None
):
    require(shutil.which("node"), "this test runs the client in Node.js: install Node.js 20 or newer")
    require(MODULE.exists() and (ROOT / "dashboard/web/node_modules/ws").exists(), "run `make setup`")
    command = [sys.executable, "bench/soak", "--seconds", "6", "--clients", "40", "--storm", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=140)
    assert done.returncode == 0, done.stdout + done.stderr
