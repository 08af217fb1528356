// @vitest-environment happy-dom
import { act, screen } from "@testing-library/react";
import { afterEach, describe, expect, test } from "vitest";
import { translator } from "../i18n";
import { type Connection, DEFAULTS, initial } from "../realtime/state";
import { type Shown, settle, show } from "../testing";
import { ConnectionIndicator, connectionReason, connectionText } from "./ConnectionIndicator";
import { StaleMark } from "./StaleMark";

const t = translator("en");
const base = initial(DEFAULTS, { online: true, visible: true });
const waiting = (parts: Partial<Connection>): Connection => ({
  ...base,
  link: { kind: "waiting", at: 4_000, notBefore: 0 },
  ...parts,
});

describe("the words of each state", () => {
  test.each<[Partial<Connection>, string]>([
    [{ status: "connecting" }, "Connecting…"],
    [{ status: "connected" }, "Connected"],
    [{ status: "reconnecting", failures: 2 }, "Reconnecting, try 3 in 4 s"],
    [{ status: "reconnecting", failures: 2, link: { kind: "opening", deadline: 9 } }, "Reconnecting, try 3"],
    [{ status: "reconnecting", online: false }, "This computer is offline"],
    [{ status: "disconnected" }, "Disconnected"],
    [{ status: "error" }, "Cannot reach the server"],
  ])("%o", (parts, text) => {
    expect(connectionText(waiting(parts), 0, t)).toBe(text);
  });

  test("in Chinese", () => {
    const zh = translator("zh-CN");
    expect(connectionText(waiting({ status: "reconnecting", failures: 2 }), 0, zh)).toBe(
      "重新连接中（第 3 次，4 秒后）",
    );
    expect(connectionText(waiting({ status: "error" }), 0, zh)).toBe("无法连接服务器");
  });

  test.each([
    [4503, /no right to see/],
    [4501, /Sign in/],
    [4506, /Reload/],
    [1008, /code 1008/],
  ])("after code %d the remedy is named", (code, text) => {
    const lastClose = { code, reason: "" };
    expect(connectionReason(waiting({ status: "error", heals: false, lastClose }), t)).toMatch(text);
  });
});

describe("the indicator", () => {
  let shown: Shown;
  afterEach(() => shown.end());

  test("follows the connection, marks data as old, and tries again when asked", async () => {
    shown = await show(
      <>
        <ConnectionIndicator />
        <StaleMark />
      </>,
    );
    expect(screen.getByText("Connecting…")).toBeDefined();
    await shown.load([]);
    expect(screen.getByText("Connected")).toBeDefined();
    expect(screen.queryByTestId("stale")).toBeNull();
    await act(async () => shown.server.last.lose(1006));
    expect(screen.getByText(/Reconnecting, try/)).toBeDefined();
    expect(screen.queryByTestId("stale"), "a blip moves nothing").toBeNull();
    const before = shown.server.sockets.length;
    await act(async () => screen.getByRole("button", { name: "Retry now" }).click());
    await settle();
    expect(shown.server.sockets.length).toBe(before + 1);
    expect((await screen.findByTestId("stale", {}, { timeout: 4_000 })).textContent).toMatch(/Shown as of/);
  });

  test("after a terminal code is red, says why, and waits for the button", async () => {
    shown = await show(
      <>
        <ConnectionIndicator />
        <StaleMark />
      </>,
    );
    await shown.load([]);
    await act(async () => shown.server.last.lose(4503));
    expect(screen.getByText("No access")).toBeDefined();
    expect(screen.getByTestId("stale").textContent).toMatch(/no right to see/);
    expect(screen.getByRole("button", { name: "Retry" })).toBeDefined();
  });
});
