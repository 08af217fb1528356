"""What is on the stage when every page has something to show: tasks in every phase, a long history, a Marketplace."""

from typing import Any

from builders import a_pod_object
from fakes.marketplace import FakeMarketplace, Published
from running_dashboard import from_worker, moment
from staged import Stage, a_task_of, an_artifact, at, uid_of

MARKET = [
    Published("langgenius", "openai", ("0.2.5", "0.2.6", "0.2.7"), "OpenAI",
              "Models provided by OpenAI, such as GPT-4o and o3.", "model", 284_113),
    Published("langgenius", "openai_api_compatible", ("0.0.19", "0.0.22"), "OpenAI-API-compatible",
              "Model providers compatible with OpenAI's API standard, such as LM Studio.", "model", 201_377),
    Published("langgenius", "ollama", ("0.0.7", "0.1.3"), "Ollama",
              "Run open models on your own machine.", "model", 152_090),
    Published("langgenius", "tavily", ("0.1.2",), "Tavily",
              "A search engine built for AI agents.", "tool", 88_204),
    Published("junjiem", "mcp_sse", ("0.2.2",), "MCP SSE / StreamableHTTP",
              "Use tools of MCP servers over HTTP.", "tool", 64_871),
    Published("langgenius", "agent", ("0.0.26",), "Dify Agent Strategies",
              "Function calling and ReAct.", "agent-strategy", 60_455),
    Published("bowenliang123", "md_exporter", ("2.2.0",), "Markdown Exporter",
              "Turn Markdown into DOCX, PPTX, PDF and more.", "tool", 41_220),
]  # fmt: skip
FEATURED = ["openai", "ollama", "tavily", "agent", "md_exporter"]
HISTORY = (
    "langgenius/openai",
    "langgenius/ollama",
    "langgenius/tavily",
    "junjiem/mcp_sse",
    "bowenliang123/md_exporter",
)
REASONS = ("NoWheelForPlatform", "IndexUnreachable", "IndexUnreachable", "VerificationFailed")

RUNNING, QUEUED, STARTING, FAILED, BOTH, PLANNED = 1, 2, 3, 4, 5, 6


def a_market() -> FakeMarketplace:
    """A Marketplace to look around in."""
    return FakeMarketplace(list(MARKET), featured=list(FEATURED))


def a_busy_day(stage: Stage) -> None:
    """Put tasks in every phase on the stage, and a week of history behind them."""
    stage.put(*_now(), *_history())
    stage.beat(queueDepth=2, running=2, slots=2)
    stage.api.pods.append(_pod_without_an_image())
    stage.api.events.append(_its_event())
    stage.tell(_progress(), _log(), _its_progress(), _its_log())


def _now() -> list[dict[str, Any]]:
    waits = {"type": "Admitted", "status": "False", "reason": "QueueFull", "lastTransitionTime": at(seconds=40),
             "message": "Position 2 in the queue: all 2 slots are in use."}  # fmt: skip
    both = uid_of(BOTH)
    arm = an_artifact(both, "langgenius", "ollama", "0.1.3", target="arm64", size=11_900_000)
    return [
        a_task_of(RUNNING, plugin="langgenius/openai", version="0.2.7", phase="Running", seconds=37),
        a_task_of(QUEUED, plugin="langgenius/tavily", version="0.1.2", phase="Queued", seconds=40,
                  status={"conditions": [waits], "plugin": None}),
        a_task_of(STARTING, plugin="junjiem/mcp_sse", version="0.2.2", phase="Starting", seconds=80,
                  status={"job": {"name": "rpt-mcp-sse-0-2-2-1"}, "plugin": None}),
        a_task_of(FAILED, plugin="langgenius/gitlab", version="0.0.4", phase="Failed", minutes_ago=6, status={
            "reason": "NoWheelForPlatform",
            "message": "numpy==2.1.3 has no wheel for linux/arm64 and CPython 3.12, and none could be built. "
                       "Hint: Choose linux/amd64, or a plugin version that does not need it.",
            "attempts": [{"attempt": 1, "job": "rpt-gitlab-0-0-4-1", "exitCode": 15, "reason": "NoWheelForPlatform",
                          "class": "User", "startTime": at(minutes=7), "completionTime": at(minutes=6),
                          "message": "numpy==2.1.3 has no wheel for linux/arm64"}],
        }),
        a_task_of(BOTH, plugin="langgenius/ollama", version="0.1.3", minutes_ago=12,
                  spec={"targets": [{"arch": "amd64"}, {"arch": "arm64"}]},
                  status={"artifacts": [an_artifact(both, "langgenius", "ollama", "0.1.3"), arm]}),
        a_task_of(PLANNED, plugin="langgenius/sagemaker", version="0.0.9", minutes_ago=2, name="dry-sagemaker",
                  spec={"dryRun": True}, status={"artifacts": [], "plan": {
                      "packages": 118, "downloadBytes": 702_000_000, "builds": 1,
                      "warnings": ["jieba 0.42.1 has no wheel and will be built."],
                      "targets": [{"arch": "amd64", "sizeBytes": 701_220_000, "overLimit": True}],
                  }}),
    ]  # fmt: skip


def _history() -> list[dict[str, Any]]:
    bodies = []
    for index in range(64):
        failed = index % 9 == 4
        reason = {"reason": REASONS[index % len(REASONS)], "message": "It did not work. Hint: Look."} if failed else {}
        bodies.append(
            a_task_of(
                100 + index,
                plugin=HISTORY[index % len(HISTORY)],
                version=f"0.{index % 3}.{index}",
                phase="Failed" if failed else "Succeeded",
                minutes_ago=25 + 18 * index + 5.5 * index * (index % 4) + index * index / 3,
                seconds=18 + 23 * (index % 5),
                status=reason,
            )
        )
    return bodies


def _progress() -> dict[str, Any]:
    stages = [
        {"stage": "Fetch", "state": "Done", "startedAt": at(seconds=37), "finishedAt": at(seconds=33)},
        {"stage": "Plan", "state": "Done", "startedAt": at(seconds=33), "finishedAt": at(seconds=32)},
        {"stage": "Download", "state": "Running", "startedAt": at(seconds=32), "bytesDone": 48_100_000,
         "bytesTotal": 77_600_000, "message": "numpy 2.1.3"},
        *({"stage": name, "state": "Pending"} for name in ("Build", "Pack", "Verify", "Publish")),
    ]  # fmt: skip
    progress = {"attempt": 1, "tick": 9, "stage": "Download", "percent": 62, "updatedAt": moment(), "stages": stages}
    return from_worker(uid_of(RUNNING), {"kind": "progress", "progress": progress})


def _its_progress() -> dict[str, Any]:
    stages = [
        {"stage": "Fetch", "state": "Done", "startedAt": at(minutes=7), "finishedAt": at(minutes=6, seconds=58)},
        {"stage": "Plan", "state": "Failed", "startedAt": at(minutes=6, seconds=58), "finishedAt": at(minutes=6)},
    ]
    progress = {"attempt": 1, "tick": 9, "stage": "Plan", "updatedAt": moment(), "stages": stages}
    return from_worker(uid_of(FAILED), {"kind": "progress", "progress": progress})


def _log() -> dict[str, Any]:
    texts = [
        "Fetching langgenius/openai:0.2.7 from the Marketplace",
        "Downloaded 214 kB, sha256 4b1f0c…",
        "Fetch done in 4.10 s",
        "uv.lock names 41 packages; 38 are needed on linux/amd64 with CPython 3.12",
        *(f"  \x1b[36mwheel-{number:02d}==1.{number}.0\x1b[0m  wheel_{number:02d}-1.{number}.0-py3-none-any.whl"
          for number in range(12)),
        "\x1b[33mtiktoken needs glibc 2.28; the daemon's image has 2.39\x1b[0m",
        "Plan done in 0.21 s",
    ]  # fmt: skip
    return _lines(RUNNING, texts)


def _its_log() -> dict[str, Any]:
    return _lines(FAILED, ["Fetch done in 1.02 s", "numpy==2.1.3 has no wheel for linux/arm64 and CPython 3.12"])


def _lines(number: int, texts: list[str]) -> dict[str, Any]:
    lines = [{"n": n, "ts": moment(), "stage": "Plan", "text": text} for n, text in enumerate(texts, start=1)]
    return from_worker(uid_of(number), {"kind": "log", "lines": lines}, batch=2)


def _pod_without_an_image() -> dict[str, Any]:
    why = {
        "reason": "ImagePullBackOff",
        "message": 'Back-off pulling image "registry.intranet/dify-repack-worker:0.1.0": unauthorized',
    }
    return a_pod_object(task="mcp-sse-0-2-2", task_uid=uid_of(STARTING), phase="Pending", state={"waiting": why})


def _its_event() -> dict[str, Any]:
    return {
        "metadata": {"name": "e1", "namespace": "default", "creationTimestamp": at(seconds=60), "labels": {}},
        "involvedObject": {"kind": "Pod", "name": "rpt-mcp-sse-0-2-2-1-x"},
        "type": "Warning", "reason": "Failed", "count": 3, "lastTimestamp": at(seconds=9),
        "message": "Failed to pull image: unauthorized",
    }  # fmt: skip
