import { describe, expect, test } from "vitest";
import { Driven, opens } from "./driven";
import { wakeAt } from "./state";

describe("what the browser tells", () => {
  test("offline marks the open socket and keeps it; online asks whether it lives", () => {
    const driven = new Driven().open().stable().send({ type: "offline" });
    expect(driven.state).toMatchObject({ status: "reconnecting", link: { kind: "open" }, generation: 1 });
    driven.taken();
    driven.send({ type: "online" });
    expect(driven.taken()).toEqual([{ type: "ping" }]);
    expect(driven.send({ type: "frame", generation: 1 }).state.status).toBe("connected");
  });

  test("offline spends no attempts; online tries at once", () => {
    const driven = new Driven().open().stable().fail().send({ type: "offline" });
    const failures = driven.state.failures;
    expect(wakeAt(driven.state)).toBeNull();
    driven.taken();
    driven.send({ type: "online" });
    expect(opens(driven.taken())).toBe(1);
    expect(driven.state.failures).toBe(failures);
  });

  test("a loss while offline waits for the network without counting", () => {
    const driven = new Driven().open().stable().send({ type: "offline" }).fail();
    expect(driven.state).toMatchObject({ failures: 0, status: "reconnecting" });
    expect(wakeAt(driven.state)).toBeNull();
  });

  test("a hidden tab tries at about the longest wait and spends no attempts", () => {
    const driven = new Driven().open().stable().send({ type: "hidden" }).fail();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      expect(driven.delay).toBe(22_500);
      driven.wake().fail();
    }
    expect(driven.state).toMatchObject({ status: "reconnecting", failures: 0 });
  });

  test("a page kept for 'back' closes its socket, and opens one when it is shown again", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    driven.send({ type: "pagehide" });
    expect(driven.taken()).toEqual([{ type: "close", code: 1000, reason: "page hidden" }]);
    driven.send({ type: "pageshow" });
    expect(opens(driven.taken())).toBe(1);
  });

  test("events of a socket that was replaced change nothing", () => {
    const driven = new Driven().open().stable().fail().wake();
    const before = driven.state;
    driven.send(
      { type: "closed", generation: 1, code: 4503, reason: "" },
      { type: "hello", generation: 1 },
      { type: "frame", generation: 1 },
      { type: "goaway", generation: 1, retryAfter: 9 },
    );
    expect(driven.state).toBe(before);
  });

  test("leaving closes the socket and nothing happens by itself any more", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    driven.send({ type: "disconnect" });
    expect(driven.taken()).toEqual([{ type: "close", code: 1000, reason: "left" }]);
    driven.send({ type: "online" }, { type: "visible" }, { type: "tick" });
    expect(driven.state).toMatchObject({ status: "disconnected", link: { kind: "closed" } });
    driven.send({ type: "retry" });
    expect(driven.state.status).toBe("reconnecting");
  });

  test("a wait that the server asked for is not cut short by the browser, only by the user", () => {
    const driven = new Driven().open().stable().fail(4029);
    driven.taken();
    driven.send({ type: "offline" }, { type: "online" }, { type: "hidden" }, { type: "visible" });
    expect(opens(driven.taken())).toBe(0);
    expect(driven.delay).toBe(15_000);
    driven.send({ type: "retry" });
    expect(opens(driven.taken())).toBe(1);
  });

  test("offline, the user may still try by hand", () => {
    const driven = new Driven().open().stable().fail().send({ type: "offline" });
    driven.taken();
    expect(opens(driven.send({ type: "retry" }).taken())).toBe(1);
  });

  test("five times offline and back leave one socket", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    for (let time = 0; time < 5; time += 1) driven.send({ type: "offline" }, { type: "online" });
    expect(driven.taken()).toEqual([{ type: "ping" }]);
    expect(driven.send({ type: "frame", generation: 1 }).state).toMatchObject({ status: "connected" });
  });
});
