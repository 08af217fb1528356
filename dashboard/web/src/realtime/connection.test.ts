import { describe, expect, test } from "vitest";
import { Driven, exhausted, OPTIONS, opens } from "./driven";
import { type Event, wakeAt } from "./state";

describe("the first connection", () => {
  test("is disconnected until somebody wants it", () => {
    expect(new Driven().state.status).toBe("disconnected");
    expect(wakeAt(new Driven().state)).toBeNull();
  });

  test("is connecting until the server says hello, not when the socket opens", () => {
    const driven = new Driven().send({ type: "connect" });
    expect(driven.state.status).toBe("connecting");
    expect(driven.hello().state.status).toBe("connected");
  });

  test("opens one socket however often it is asked", () => {
    const driven = new Driven().send({ type: "connect" }, { type: "connect" }, { type: "retry" });
    expect(opens(driven.taken())).toBe(1);
  });

  test("is given up after ten seconds without hello, and tried again", () => {
    const driven = new Driven().send({ type: "connect" });
    expect(driven.delay).toBe(10_000);
    driven.taken();
    driven.wake();
    expect(driven.state.link.kind).toBe("waiting");
    expect(driven.taken()).toContainEqual({ type: "close", code: 4000, reason: "no answer in time" });
    expect(driven.state.status).toBe("connecting");
  });
});

describe("after a loss", () => {
  test("it is reconnecting, and keeps the moment of its last news", () => {
    const driven = new Driven().open().stable();
    const fresh = driven.state.freshUntil;
    driven.now += 60_000;
    driven.fail();
    expect(driven.state.status).toBe("reconnecting");
    expect(driven.state.freshUntil).toBe(fresh);
  });

  test.each([
    [0, 250],
    [0.5, 500],
    [0.999, 999],
  ])("chance %f makes the first wait %d ms", (chance, wait) => {
    const driven = new Driven().open();
    driven.stable();
    driven.chance = chance;
    driven.fail();
    expect(Math.round(driven.delay)).toBe(wait);
  });

  test("waits double to thirty seconds and no further", () => {
    const driven = new Driven().open().stable();
    driven.chance = 1 - Number.EPSILON;
    driven.fail();
    const waits: number[] = [Math.round(driven.delay)];
    for (let attempt = 1; attempt < 9; attempt += 1) {
      driven.wake().fail();
      waits.push(Math.round(driven.delay));
    }
    expect(waits).toEqual([1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("waits are spread over the whole range, so that many browsers do not come back together", () => {
    let sum = 0;
    for (let sample = 0; sample < 1_000; sample += 1) {
      const driven = new Driven().open().stable();
      driven.chance = sample / 1_000;
      sum += driven.fail().wake().fail().wake().fail().delay;
    }
    expect(sum / 1_000).toBeGreaterThan(950);
    expect(sum / 1_000).toBeLessThan(1_100);
  });

  test("ten failures in a row turn to error, and it goes on trying about once a minute", () => {
    const driven = new Driven().open().stable().fail();
    for (let attempt = 1; attempt < 10; attempt += 1) driven.wake().fail();
    expect(driven.state.status).toBe("reconnecting");
    driven.wake().fail();
    expect(driven.state.status).toBe("error");
    for (const chance of [0, 0.5, 0.999]) {
      driven.chance = chance;
      driven.wake().fail();
      expect(driven.delay).toBeGreaterThanOrEqual(48_000);
      expect(driven.delay).toBeLessThanOrEqual(72_000);
    }
  });

  test("a healing attempt stays in error until it succeeds", () => {
    const driven = exhausted();
    driven.wake();
    expect(driven.state).toMatchObject({ status: "error", link: { kind: "opening" } });
    expect(driven.hello().state.status).toBe("connected");
  });

  test.each<Event>([{ type: "online" }, { type: "visible" }, { type: "pageshow" }, { type: "retry" }])(
    "in error, %o tries at once",
    (event) => {
      const driven = exhausted();
      driven.taken();
      driven.send(event);
      expect(opens(driven.taken())).toBe(1);
      expect(driven.state.status).toBe("error");
    },
  );

  test("a connection that was not stable for five seconds counts as a failure", () => {
    const driven = new Driven().open().fail();
    for (let attempt = 0; attempt < 9; attempt += 1) driven.wake().hello().fail();
    expect(driven.state.status).toBe("error");
  });

  test("a stable connection forgets the failures before it", () => {
    const driven = new Driven().open().fail().wake().fail().wake().hello();
    expect(driven.state.failures).toBe(2);
    expect(driven.stable().state.failures).toBe(0);
  });

  test("without autoReconnect it stays disconnected", () => {
    const driven = new Driven({ ...OPTIONS, autoReconnect: false }).open().fail();
    expect(driven.state).toMatchObject({ status: "disconnected", link: { kind: "closed" } });
  });
});
