"""Autobahn|Testsuite against our WebSocket protocol class, set up as the dashboard does it, on an endpoint that echoes.

Usage: python scripts/autobahn.py [--cases 1.* 2.* ...] [--compress] [--write FILE]

The suite needs Python 2.7: the one that PYTHON2 names, `python2.7`, or pyenv's. It is installed once, from the package
index, into `.venv/autobahn`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from repack_dashboard.protocol import TaskWebSocket
from repack_dashboard.server import make_server
from repack_dashboard.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv" / "autobahn"
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
CHAPTERS = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes", "5": "fragmentation",
    "6": "UTF-8", "7": "closing", "9": "limits", "10": "fragmented writes", "12": "compression", "13": "compression",
}  # fmt: skip
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
KEPT = re.compile(r"^(PATH|HOME|LANG|TMPDIR|PIP_CERT|PIP_INDEX_URL|SSL_CERT_FILE|.*_proxy|.*_PROXY)$")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES, help="cases to run (default: all but limits, compression)")
    parser.add_argument("--compress", action="store_true", help="agree on compression, for the cases 12.* and 13.*")
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    python = find_python2()
    if python is None:
        print(
            "make autobahn needs Python 2.7, which the suite is written in: install it (pyenv install 2.7.18), or say\n"
            "make autobahn PYTHON2=/path/to/python2.7",
            file=sys.stderr,
        )
        return 2
    wstest = installed(python)
    with tempfile.TemporaryDirectory(prefix="autobahn-") as name:
        found = asyncio.run(run(wstest, Path(name), cases=arguments.cases, compress=arguments.compress))
    text = as_markdown(found)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return 0 if found and not failed(found) else 1


def find_python2() -> str | None:
    """Return an interpreter of Python 2.7 that really runs; a shim of pyenv may only say that it does not."""
    home = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")))  # noqa: TID251 - a script, no setting
    named = os.environ.get("PYTHON2")  # noqa: TID251
    for python in [named] if named else ["python2.7", *map(str, sorted(home.glob("versions/2.7*/bin/python2.7")))]:
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", "import ssl"], capture_output=True, check=False).returncode == 0:
                return python
    return None


def installed(python: str) -> Path:
    """Return the suite's program, installed on first use."""
    wstest = HOME / "bin" / "wstest"
    if wstest.exists():
        return wstest
    print("installing Autobahn|Testsuite, once; about a minute", file=sys.stderr, flush=True)
    environment = {key: value for key, value in os.environ.items() if KEPT.match(key)}  # noqa: TID251
    shutil.rmtree(HOME, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="virtualenv-") as boot:

        def do(*command: str | Path, **more: str) -> None:
            done = subprocess.run(command, env=environment | more, check=False, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")

        do(python, "-m", "pip", "install", "--target", boot, "virtualenv==20.15.1")
        do(python, "-m", "virtualenv", HOME, PYTHONPATH=boot)
        do(HOME / "bin" / "pip", "install", "autobahntestsuite==25.10.1")
    return wstest


def echo() -> FastAPI:
    """Return an application that sends back what it gets."""
    app = FastAPI()

    @app.websocket("/echo")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:  # ends with the connection
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await websocket.send({**message, "type": "websocket.send"})

    return app


async def run(wstest: Path, folder: Path, *, cases: list[str], compress: bool) -> dict[str, dict[str, Any]]:
    """Run the cases; return the suite's verdicts by case."""
    settings = Settings.model_validate({"port": 0, "ingest_token": "x" * 16, "compress": compress})

    async def drain() -> None:
        return None

    server = make_server(echo(), settings, drain=drain)
    if not issubclass(server.config.ws, TaskWebSocket):  # type: ignore[arg-type]
        raise SystemExit("this uvicorn is not the one that our protocol class was made for")
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.05)
    spec = {
        "outdir": str(folder / "reports"),
        "servers": [{"agent": "dify-repack", "url": f"ws://127.0.0.1:{server.port}/echo"}],
        "cases": cases,
        "exclude-cases": ["6.4.*"],  # what they ask for, to fail in the middle of a frame, the suite calls optional
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    suite = await asyncio.create_subprocess_exec(
        str(wstest), "-m", "fuzzingclient", "-s", str(folder / "spec.json"), cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    code = await suite.wait()
    server.should_exit = True
    await serving
    index = folder / "reports" / "index.json"
    if code or not index.exists():
        raise SystemExit(f"the suite ended with {code}")
    return dict(json.loads(index.read_text(encoding="utf-8"))["dify-repack"])


def failed(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the cases that did not pass, in order."""
    bad = [case for case, one in found.items() if not {one["behavior"], one["behaviorClose"]} <= PASSED]
    return sorted(bad, key=lambda case: [int(part) for part in case.split(".")])


def as_markdown(found: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    bad = failed(found)
    return f"""\
# Autobahn|Testsuite

<!-- Written by `make autobahn`. Do not edit. -->

**{len(found) - len(bad)} of {len(found)} cases pass.** Run {datetime.now(UTC):%Y-%m-%d} with
autobahntestsuite 25.10.1 against the dashboard's protocol class (`repack_dashboard.protocol.TaskWebSocket`), set up by
the dashboard's own `make_server` with its default settings, and an endpoint that echoes; uvicorn
{version("uvicorn")}, websockets {version("websockets")}, \
CPython {".".join(map(str, sys.version_info[:3]))}.

The cases 6.4.* (fail in the middle of a frame, which the suite itself calls optional) are left out, and so are 9.*
(messages up to 16 MiB, where our limit is 64 KiB) and 12.*, 13.* (compression, which is off by default;
`scripts/autobahn.py --compress --cases 12.1.* ...` runs them).

{_table(found)}
*Non-strict*: right, but noticed a little later than would be possible. *Informational*: the standard leaves it open.

{"No case failed." if not bad else "Failed: " + ", ".join(bad)}
"""


def _table(found: dict[str, dict[str, Any]]) -> str:
    chapters: dict[str, Counter[str]] = {}
    for case, one in found.items():
        verdict = one["behavior"] if one["behaviorClose"] in PASSED else one["behaviorClose"]
        chapters.setdefault(case.split(".")[0], Counter())[verdict] += 1
    lines = ["| chapter | | cases | ok | non-strict | informational | failed |", "|---|---|---|---|---|---|---|"]
    for chapter in sorted(chapters, key=int):
        counts = chapters[chapter]
        cells = [counts["OK"], counts["NON-STRICT"], counts["INFORMATIONAL"]]
        shown = " | ".join(map(str, [sum(counts.values()), *cells, sum(counts.values()) - sum(cells)]))
        lines.append(f"| {chapter} | {CHAPTERS.get(chapter, '')} | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
