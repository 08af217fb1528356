"""`make demo`: the whole product on this machine. Start, repackage the example plugin, show where everything is.

With `--exit-when-done` it ends by itself (the measure of the closing note, and CI); otherwise it goes on until Ctrl-C.
"""

import argparse
import asyncio
import hashlib
import signal
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from repack_contract.errors import RepackError
from repack_contract.naming import API_VERSION, KIND, PLURAL, next_free_name
from repack_contract.task import RepackageTask
from repack_local.mode import LocalMode
from repack_local.plugin_folder import pack_folder
from repack_local.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".local"
EXAMPLE = ROOT / "examples" / "plugins" / "text_stats"
TASK_NAME = "text-stats"


@dataclass
class Screen:
    """What the user reads: one line per fact, with the seconds since the start."""

    started: float = field(default_factory=time.monotonic)

    def say(self, text: str = "") -> None:
        """Print a line at once."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def step(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        self.say(f"  {time.monotonic() - self.started:5.1f} s  {text}")


def manifest(name: str, *, upload_key: str) -> dict[str, Any]:
    """Return the task as a user would write it."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"source": {"type": "Upload", "upload": {"key": upload_key}}, "targets": [{"arch": "amd64"}]},
    }


async def apply_as_kubectl_would(mode: LocalMode, body: dict[str, Any]) -> RepackageTask:
    """Send the manifest by server-side apply, as `kubectl apply --server-side` does."""
    name = body["metadata"]["name"]
    path = f"{mode.api_url}/apis/{API_VERSION}/namespaces/default/{PLURAL}/{name}"
    trust = ssl.create_default_context(cadata=mode.api_certificate)
    headers = {"Authorization": f"Bearer {mode.api_token}"}
    async with httpx.AsyncClient(headers=headers, verify=trust, trust_env=False) as client:
        answer = await client.patch(
            path,
            params={"fieldManager": "demo", "force": "true"},
            json=body,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
    answer.raise_for_status()
    return RepackageTask.model_validate(answer.json())


async def upload(client: httpx.AsyncClient, package: Path) -> str:
    """Give the package to the dashboard and return its key."""
    content = await asyncio.to_thread(package.read_bytes)
    answer = await client.post("/api/v1/uploads", params={"filename": package.name}, content=content, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["key"])


async def follow(client: httpx.AsyncClient, uid: str, screen: Screen) -> dict[str, Any]:
    """Print each new stage until the task has ended, and return the task."""
    shown: tuple[object, ...] = ()
    while True:  # ends: the task has an active deadline
        answer = await client.get(f"/api/v1/tasks/{uid}")
        task = answer.raise_for_status().json() if answer.status_code != 404 else {}
        status, progress = task.get("status") or {}, task.get("progress") or {}
        now = (status.get("phase"), progress.get("stage"))
        if now != shown and now[0]:
            shown = now
            screen.step(f"{now[0]}" + (f" · {now[1]}" if now[1] and now[0] == "Running" else ""))
        if status.get("phase") in {"Succeeded", "Failed", "Cancelled"}:
            return dict(task)
        await asyncio.sleep(0.2)


async def fetch_package(client: httpx.AsyncClient, artifact: dict[str, Any]) -> Path:
    """Download the package to `.local/packages`, as a user would, and check it against its checksum."""
    content = (await client.get(artifact["uri"], timeout=120)).raise_for_status().content
    if hashlib.sha256(content).hexdigest() != artifact["sha256"]:
        raise SystemExit(f"the download of {artifact['name']} differs from its checksum")
    target = HOME / "packages" / str(artifact["name"])
    target.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(target.write_bytes, content)
    return target


async def tell_result(client: httpx.AsyncClient, task: dict[str, Any], screen: Screen) -> None:
    """Say where the package is and what was verified, or why there is none."""
    status = task["status"]
    if status["phase"] != "Succeeded":
        screen.say(f"\n  The task ended as {status['phase']}: {status.get('message', '')}")
        return
    artifact = status["artifacts"][0]
    proof = artifact["verification"]
    package = await fetch_package(client, artifact)
    screen.say()
    screen.say(f"  package   {package.relative_to(ROOT)}")
    screen.say(f"            {artifact['sizeBytes'] / 1e6:.1f} MB, {artifact['wheels']} wheels inside")
    screen.say(f"  sha256    {artifact['sha256']}")
    screen.say(f"  verified  {proof['method']}: {proof.get('message', '')}")


async def demo(screen: Screen, *, exit_when_done: bool, stop: asyncio.Event) -> int:
    """Run the demo until `stop` is set; 0 when the package was made and verified."""
    screen.say("dify-repack, without a cluster: everything stays in .local/, for this machine only\n")
    async with LocalMode(Settings(home=HOME)) as mode:
        screen.step(f"page                  {mode.page_url}/")
        screen.step(f"embedded Kubernetes   {mode.api_url}   (export KUBECONFIG={mode.kubeconfig.relative_to(ROOT)})")
        package = HOME / "example" / "text_stats.difypkg"
        await pack_folder(EXAMPLE, package, settings=mode.worker_settings)
        screen.step(f"example plugin        {package.relative_to(ROOT)}  ({package.stat().st_size / 1e3:.0f} kB)")
        async with httpx.AsyncClient(base_url=mode.page_url, trust_env=False) as client:
            taken = [item["name"] for item in (await client.get("/api/v1/tasks?limit=1000")).json()["items"]]
            name = next_free_name(TASK_NAME, taken=taken)
            key = await upload(client, package)
            applied = time.monotonic()
            task = await apply_as_kubectl_would(mode, manifest(name, upload_key=key))
            screen.step(f"task applied          {mode.page_url}/tasks/default/{name}")
            work = asyncio.create_task(follow(client, task.metadata.uid, screen))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not work.done():
                work.cancel()
                return 130
            result = work.result()
            screen.step(f"apply to {result['status']['phase']}: {time.monotonic() - applied:.1f} s")
            await tell_result(client, result, screen)
        if not exit_when_done:
            screen.say(f"\n  Go on in the browser: {mode.page_url}/   Ctrl-C ends everything; tasks and packages stay.")
            await stop.wait()
    screen.say("\n  Ended.")
    return 0 if result["status"]["phase"] == "Succeeded" else 1


async def main() -> int:
    """Parse the arguments and run until the end, Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exit-when-done", action="store_true", help="end when the task has ended")
    options = parser.parse_args()
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    screen = Screen()
    try:
        return await demo(screen, exit_when_done=options.exit_when_done, stop=stop)
    except RepackError as error:
        screen.say(f"\n  {error.message}\n  {error.hint}")
        return 1
    except asyncio.CancelledError:
        return 130


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
