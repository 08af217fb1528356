import { describe, expect, test } from "vitest";
import { Driven } from "./driven";

describe("the heartbeat", () => {
  test("pings when nothing was heard for the interval that the server gave", () => {
    const driven = new Driven().send({ type: "connect" });
    driven.send({ type: "hello", generation: 1, pingInterval: 10_000 }).stable();
    driven.taken();
    driven.wake();
    expect(driven.taken()).toEqual([{ type: "ping" }]);
    expect(driven.delay).toBe(60_000);
  });

  test("any frame counts as alive and puts the next ping off", () => {
    const driven = new Driven().open().stable().wake();
    driven.now += 59_000;
    driven.send({ type: "frame", generation: 1 });
    expect(driven.delay).toBe(30_000);
  });

  test("a ping that nothing follows means the socket is gone: closed by us, tried again", () => {
    const driven = new Driven().open().stable().wake();
    driven.taken();
    driven.wake();
    expect(driven.taken()).toEqual([{ type: "close", code: 4000, reason: "heartbeat lost" }]);
    expect(driven.state.status).toBe("reconnecting");
  });

  test("a timer that the browser held back gives one turn of grace, and only one", () => {
    const driven = new Driven().open().stable().wake().wake(60_000);
    expect(driven.state.status).toBe("connected");
    driven.wake();
    expect(driven.state.status).toBe("reconnecting");
  });

  test("a hidden tab is not killed but verified when it is seen again", () => {
    const driven = new Driven().open().stable().send({ type: "hidden" }).wake().wake();
    expect(driven.state.status).toBe("connected");
    driven.taken();
    driven.now += 600_000;
    driven.send({ type: "visible" });
    expect(driven.taken()).toEqual([{ type: "ping" }]);
    expect(driven.delay).toBe(4_000);
    driven.wake();
    expect(driven.state.status).toBe("reconnecting");
  });

  test("a probe that is answered leaves the socket alone", () => {
    const driven = new Driven().open().stable().send({ type: "visible" });
    driven.send({ type: "frame", generation: 1 });
    expect(driven.state).toMatchObject({ status: "connected", generation: 1 });
  });

  test("an answered ping shows a stable connection, however soon it comes", () => {
    const driven = new Driven().open().fail().wake().hello();
    expect(driven.state.failures).toBe(1);
    driven.send({ type: "visible" }, { type: "frame", generation: driven.state.generation });
    expect(driven.state.failures).toBe(0);
  });

  test("after a sleep of the machine the ping's answer is wanted within seconds", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    driven.wake(3_600_000);
    expect(driven.taken()).toEqual([{ type: "ping" }]);
    expect(driven.delay).toBe(4_000);
    driven.wake();
    expect(driven.state.status).toBe("reconnecting");
  });

  test("a minute in one step, as the timers of a throttled tab run, kills nothing", () => {
    const driven = new Driven().open().stable().send({ type: "hidden" });
    for (let minute = 0; minute < 30; minute += 1) {
      driven.now += 60_000;
      driven.send({ type: "tick" });
      if (minute % 2 === 0) driven.send({ type: "frame", generation: 1 });
    }
    expect(driven.state).toMatchObject({ status: "connected", generation: 1 });
  });

  test("a machine that slept while a socket was opening gives the answer one more turn", () => {
    const driven = new Driven().send({ type: "connect" }).wake(60_000);
    expect(driven.state.link.kind).toBe("opening");
    expect(driven.hello().state.status).toBe("connected");
    const silent = new Driven().send({ type: "connect" }).wake(60_000).wake();
    expect(silent.state.link.kind).toBe("waiting");
  });
});
