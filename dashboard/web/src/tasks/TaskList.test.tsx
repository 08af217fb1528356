// @vitest-environment happy-dom
import { act, fireEvent, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, test } from "vitest";
import { anArtifact, aProgress, aTask } from "../builders";
import { type Shown, show } from "../testing";
import { TaskList } from "./TaskList";

let shown: Shown;
afterEach(() => shown.end());

const rows = () => screen.getAllByRole("row").slice(1);
const named = (name: string, parts: Parameters<typeof aTask>[0] = {}) =>
  aTask({
    uid: name,
    name,
    ...parts,
    status: { plugin: { author: "acme", name, version: "1.0.0" }, ...parts.status },
  });

describe("the list", () => {
  test("waits for the first snapshot, then offers the form when there is nothing", async () => {
    shown = await show(<TaskList />);
    expect(screen.getByLabelText("Loading tasks")).toBeDefined();
    await shown.load([]);
    expect(screen.getByText("No tasks yet")).toBeDefined();
    expect(screen.getByRole("link", { name: "Repackage a plugin" }).getAttribute("href")).toBe("/new");
  });

  test("says that the server cannot be reached when there was never any data", async () => {
    shown = await show(<TaskList />);
    await act(async () => shown.server.last.lose(4503));
    expect(screen.getByText("The tasks could not be loaded.")).toBeDefined();
  });

  test("shows name, target, phase and stage, and leads to the task", async () => {
    shown = await show(<TaskList />);
    await shown.load([named("text-tools", { progress: aProgress({ stage: "Download", percent: 62 }) })]);
    const [row] = rows();
    if (!row) throw new Error("no row");
    expect(row.textContent).toMatch(/acme\/text-tools.*amd64 · Py 3\.12.*Running.*Download.*62 %/);
    expect(within(row).getByRole("link").getAttribute("href")).toBe("/tasks/default/text-tools");
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("2");
  });

  test("offers the download of what succeeded and the reason of what failed", async () => {
    shown = await show(<TaskList />);
    await shown.load([
      named("good", { phase: "Succeeded", status: { artifacts: [anArtifact({ name: "good.difypkg" })] } }),
      named("poor", { phase: "Failed", status: { reason: "IndexUnreachable" } }),
    ]);
    expect(screen.getByRole("link", { name: "Download good.difypkg" }).getAttribute("href")).toContain(
      "/api/v1/artifacts/",
    );
    expect(screen.getByText("The package index, or the plugin's address, did not answer.")).toBeDefined();
  });

  test("changes a row when its task does", async () => {
    shown = await show(<TaskList />);
    const task = named("text-tools");
    await shown.load([task]);
    const changed = { ...task, status: { ...task.status, phase: "Succeeded" } };
    const envelope = {
      task_id: task.uid,
      namespace: "default",
      name: task.name,
      seq: 2,
      gseq: 2,
      epoch: "e1",
    };
    await act(async () => shown.server.last.say({ type: "task.status", ...envelope, data: changed }));
    expect(rows()[0]?.textContent).toContain("Succeeded");
    await act(async () => shown.server.last.say({ type: "task.deleted", ...envelope, seq: 3, gseq: 3 }));
    expect(screen.getByText("No tasks yet")).toBeDefined();
  });

  test("keeps the filter in the address, and clears it", async () => {
    shown = await show(<TaskList />, { path: "/?q=nothing" });
    await shown.load([named("one"), named("two", { phase: "Failed" })]);
    expect(screen.getByText("No task matches")).toBeDefined();
    const clear = screen.getAllByRole("button", { name: "Clear the filter" }).at(-1);
    await act(async () => clear?.click());
    expect(rows().length).toBe(2);
    await act(async () => screen.getByRole("button", { name: "Failed 1" }).click());
    expect(shown.history.at(-1)).toBe("/?phase=Failed");
    expect(rows().length).toBe(1);
    fireEvent.change(screen.getByRole("searchbox"), { target: { value: "two" } });
    expect(shown.history.at(-1)).toBe("/?phase=Failed&q=two");
  });

  test("of ten thousand tasks has few rows in the page", async () => {
    shown = await show(<TaskList />);
    await shown.load(Array.from({ length: 10_000 }, (_, n) => named(`task-${n}`)));
    expect(rows().length).toBeGreaterThan(5);
    expect(rows().length).toBeLessThan(60);
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("10001");
  });

  test("speaks Chinese", async () => {
    shown = await show(<TaskList />, { language: "zh-CN" });
    await shown.load([named("text-tools", { phase: "Queued" })]);
    expect(rows()[0]?.textContent).toContain("排队中");
    expect(screen.getByRole("button", { name: "全部 1" })).toBeDefined();
  });
});
