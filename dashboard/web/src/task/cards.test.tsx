// @vitest-environment happy-dom
import { act, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { anArtifact, aProgress, aStage, aTask } from "../builders";
import { type Shown, settle, show } from "../testing";
import { ArtifactCard } from "./ArtifactCard";
import { FailureNote } from "./FailureNote";
import { NextSteps } from "./NextSteps";
import { lineageOf } from "./Runs";
import { TaskHeader } from "./TaskHeader";
import { TransferBar } from "./TransferBar";

let shown: Shown;
afterEach(() => {
  shown.end();
  vi.unstubAllGlobals();
});

describe("the artifact card", () => {
  test("names size, hash, check line and download", async () => {
    shown = await show(<ArtifactCard artifact={anArtifact()} beside={["report.json", "sbom.cdx.json"]} />);
    expect(screen.getByRole("link", { name: "SBOM (CycloneDX)" }).getAttribute("href")).toMatch(
      /offline\.difypkg\/sbom\.cdx\.json$/,
    );
    const link = screen.getByRole("link", { name: "Download" });
    expect(link.getAttribute("href")).toBe(anArtifact().uri);
    expect(screen.getByText("12.0 MB")).toBeDefined();
    const check = `echo "${"ab".repeat(32)}  ${anArtifact().name}" | sha256sum -c`;
    expect(
      screen.getByText((_, element) => element?.textContent === check && element.tagName === "CODE"),
    ).toBeDefined();
  });

  test.each([
    ["NetworkNamespace", "Enforced by the kernel"],
    ["SeccompFilter", "Enforced by the kernel"],
    ["OfflineFlags", "Weaker method"],
    ["CrossInstall", "Weaker method"],
  ] as const)("calls %s by its strength", async (method, words) => {
    shown = await show(
      <ArtifactCard artifact={anArtifact({ verification: { method, passed: true } })} beside={[]} />,
    );
    expect(screen.getByText(new RegExp(words))).toBeDefined();
  });

  test("claims no verification that did not pass", async () => {
    const verification = { method: "NetworkNamespace", passed: false } as const;
    shown = await show(<ArtifactCard artifact={anArtifact({ verification })} beside={[]} />);
    expect(screen.queryByText(/Verified/)).toBeNull();
  });
});

test("the next steps follow the largest artifact", async () => {
  const artifacts = [anArtifact(), anArtifact({ target: "arm64", sizeBytes: 90_000_000 })];
  shown = await show(
    <NextSteps task={aTask({ phase: "Succeeded", status: { artifacts } })} signed={false} />,
  );
  expect(screen.getByText("PLUGIN_MAX_PACKAGE_SIZE=157286400")).toBeDefined();
});

describe("the failure note", () => {
  const failed = aTask({
    phase: "Failed",
    status: {
      reason: "NoWheelForPlatform",
      message: "numpy 2.1.3 has no wheel for linux/amd64. Hint: Choose another version.",
    },
  });

  test("says what happened, the culprit and what to do", async () => {
    shown = await show(<FailureNote task={failed} />);
    expect(screen.getByRole("alert").textContent).toBe(
      "A dependency has no wheel for this target.numpy 2.1.3 has no wheel for linux/amd64.What to do: Choose another version.",
    );
  });

  test("in Chinese translates by the reason and keeps the server's words", async () => {
    shown = await show(<FailureNote task={failed} />, { language: "zh-CN" });
    const text = screen.getByRole("alert").textContent;
    expect(text).toContain("有依赖缺少适用于该目标平台的 wheel。");
    expect(text).toContain("numpy 2.1.3 has no wheel");
    expect(text).toContain("请换一个目标平台");
  });

  test("of a reason that this page does not know shows it as it is", async () => {
    shown = await show(
      <FailureNote task={aTask({ phase: "Failed", status: { reason: "Comet", message: "It fell." } })} />,
    );
    expect(screen.getByRole("alert").textContent).toContain("Reason: Comet");
  });
});

describe("the header's actions", () => {
  const answers = vi.fn();
  beforeEach(() => {
    answers.mockReset();
    vi.stubGlobal("fetch", answers);
  });
  const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

  test("run again makes a new task and goes to it; the finished one stays", async () => {
    answers.mockResolvedValue(json(aTask({ uid: "uid-2", name: "text-tools-2", phase: "Queued" }), 201));
    shown = await show(<TaskHeader task={aTask({ phase: "Failed" })} />);
    await act(async () => screen.getByRole("button", { name: "Run again" }).click());
    await settle();
    expect(answers.mock.calls[0]?.slice(0, 2)).toMatchObject([
      "/api/v1/tasks/uid-1/rerun",
      { method: "POST" },
    ]);
    expect(shown.history.at(-1)).toBe("/tasks/default/text-tools-2");
  });

  test("cancel asks once and says what is lost", async () => {
    answers.mockResolvedValue(json(aTask({ phase: "Cancelling" })));
    shown = await show(<TaskHeader task={aTask()} />);
    await act(async () => screen.getByRole("button", { name: "Cancel" }).click());
    expect(answers).not.toHaveBeenCalled();
    expect(screen.getByRole("dialog").textContent).toMatch(/What it has downloaded is lost/);
    await act(async () => screen.getByRole("button", { name: "Cancel the task" }).click());
    await settle();
    expect(answers.mock.calls[0]?.[0]).toBe("/api/v1/tasks/uid-1/cancel");
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  test("a refusal is told where it was asked", async () => {
    answers.mockResolvedValue(
      json({ title: "Conflict", status: 409, detail: "It has ended.", reason: "Conflict" }, 409),
    );
    shown = await show(<TaskHeader task={aTask()} />);
    await act(async () => screen.getByRole("button", { name: "Cancel" }).click());
    await act(async () => screen.getByRole("button", { name: "Cancel the task" }).click());
    await settle();
    expect(screen.getByRole("alert").textContent).toContain("It has ended.");
  });
});

test("earlier and later runs are found both ways, in the same namespace", async () => {
  shown = await show(<div />);
  const run = (name: string, of?: string, namespace = "default") =>
    aTask({
      uid: `${namespace}/${name}`,
      name,
      namespace,
      labels: of ? { "dify-repack.io/rerun-of": of } : {},
    });
  const tasks = [run("a"), run("a-2", "a"), run("a-3", "a-2"), run("b"), run("a-2", "a", "other")];
  const names = lineageOf(run("a-2", "a"), tasks).map((task) => task.uid);
  expect(names).toEqual(["default/a", "default/a-2", "default/a-3"]);
});

describe("the transfer", () => {
  const downloading = (parts: Parameters<typeof aStage>[1]) =>
    aTask({ progress: aProgress({ stages: [aStage("Download", { state: "Running", ...parts })] }) });

  test("without a total moves, and claims no percentage and no time", async () => {
    shown = await show(<TransferBar task={downloading({ bytesDone: 12_000_000 })} />);
    const bar = screen.getByRole("progressbar");
    expect([bar.getAttribute("aria-valuenow"), bar.getAttribute("aria-valuetext")]).toEqual([
      null,
      "12.0 MB",
    ]);
    expect(document.body.textContent).toContain("12.0 MB");
    expect(document.body.textContent).not.toMatch(/%|left/);
  });

  test("with a total says how much of it, and no time before the speed is known", async () => {
    shown = await show(<TransferBar task={downloading({ bytesDone: 48_100_000, bytesTotal: 77_600_000 })} />);
    expect(document.body.textContent).toContain("48.1 MB of 77.6 MB");
    expect(document.body.textContent).toContain("61 %");
    expect(document.body.textContent).not.toContain("left");
  });
});
