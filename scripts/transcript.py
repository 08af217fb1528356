"""Write docs/kubectl.md: what an ordinary kubectl says on the embedded mode, from a real run of the example plugin."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from repack_local.mode import LocalMode
from repack_local.plugin_folder import pack_folder
from repack_local.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "plugins" / "text_stats"
PAGE = ROOT / "docs" / "kubectl.md"

MANIFEST = """\
apiVersion: dify-repack.io/v1alpha1
kind: RepackageTask
metadata:
  name: text-stats
spec:
  source:
    type: Upload
    upload:
      key: {key}
  targets:
  - arch: amd64
"""

HEAD = """\
# kubectl

<!-- Written by `make transcript` from a real run. Do not edit. -->

A real `kubectl` against the embedded mode (`make demo`, `export KUBECONFIG=.local/kubeconfig`); in a cluster it is the
same. The package was uploaded before; `spec.source.upload.key` is what the upload was answered.

"""


class Transcript:
    """Runs kubectl and writes down what was typed and what came back."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise SystemExit("the transcript needs kubectl")
        self._kubectl = kubectl
        self._environment = {"PATH": os.defpath, "HOME": str(folder), "KUBECONFIG": str(kubeconfig)}
        self._folder = folder
        self.text = HEAD

    def show(self, typed: str, output: str) -> None:
        """Add one command and its output."""
        self.text += f"```console\n$ {typed}\n{output.rstrip()}\n```\n\n"

    def start(self, arguments: str) -> subprocess.Popen[str]:
        """Start `kubectl …` in the background; its output goes to a pipe."""
        return subprocess.Popen(
            [self._kubectl, *arguments.split()], cwd=self._folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, arguments: str) -> str:
        """Run `kubectl …`, add it to the transcript, and return its output; an error ends the script."""
        done = self.start(arguments)
        output, _ = done.communicate(timeout=240)
        self.show(f"kubectl {arguments}", output)
        if done.returncode != 0:
            raise SystemExit(f"kubectl {arguments} ended with {done.returncode}:\n{output}")
        return output


def record(transcript: Transcript) -> None:
    """Walk through the life of a task."""
    transcript.run("apply -f task.yaml")
    watch = transcript.start("get rpt text-stats -w")
    transcript.run("wait --for=condition=complete rpt/text-stats --timeout=180s")
    watch.terminate()
    output, _ = watch.communicate(timeout=10)
    transcript.show("kubectl get rpt text-stats -w      # in another terminal, meanwhile", output)
    transcript.run("get rpt")
    transcript.run("get rpt --field-selector status.phase=Succeeded -o wide")
    transcript.run("describe rpt text-stats")
    transcript.run("get jobs,pods")
    job = transcript.run("get pods -o name").strip().splitlines()[0]
    transcript.run(f"logs {job} --tail=12")
    transcript.run("delete rpt text-stats")
    transcript.run("get rpt,jobs,pods")


async def main() -> None:
    """Start the embedded mode in a throw-away folder, record, and write the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with LocalMode(Settings(home=folder / "home", port=0, api_port=0)) as mode:
            package = await pack_folder(EXAMPLE, folder / "text_stats.difypkg", settings=mode.worker_settings)
            async with httpx.AsyncClient(base_url=mode.page_url, trust_env=False) as client:
                answer = await client.post(
                    "/api/v1/uploads", params={"filename": package.name}, content=package.read_bytes()
                )
                key = answer.raise_for_status().json()["key"]
            (folder / "task.yaml").write_text(MANIFEST.format(key=key))
            transcript = Transcript(mode.kubeconfig, folder)
            transcript.show("cat task.yaml", MANIFEST.format(key=key))
            await asyncio.to_thread(record, transcript)
            text = transcript.text.replace(str(mode.settings.home), ".local").replace(str(folder), ".")
    PAGE.write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).rstrip() + "\n", encoding="utf-8")
    sys.stdout.write(f"written: {PAGE.relative_to(ROOT)}\n")


if __name__ == "__main__":
    asyncio.run(main())
