import { describe, expect, test } from "vitest";
import { Driven, exhausted } from "./driven";
import type { ConnectionStatus, Event, Link } from "./state";

describe("every pair of state and event", () => {
  const reach: Record<string, () => Driven> = {
    disconnected: () => new Driven(),
    connecting: () => new Driven().send({ type: "connect" }),
    "connecting, waiting": () => new Driven().send({ type: "connect" }).fail(),
    connected: () => new Driven().open(),
    "connected, stable": () => new Driven().open().stable(),
    "connected, pinged": () => new Driven().open().stable().wake(),
    "reconnecting, waiting": () => new Driven().open().stable().fail(),
    "reconnecting, opening": () => new Driven().open().stable().fail().wake(),
    "reconnecting, offline": () => new Driven().open().stable().send({ type: "offline" }),
    "error, healing": () => exhausted(),
    "error, opening": () => exhausted().wake(),
    "error, terminal": () => new Driven().open().fail(4503),
  };
  const events = (generation: number): Event[] => [
    { type: "connect" },
    { type: "disconnect" },
    { type: "retry" },
    { type: "tick" },
    { type: "hello", generation },
    { type: "frame", generation },
    { type: "goaway", generation, retryAfter: 100 },
    { type: "closed", generation, code: 1006, reason: "" },
    { type: "closed", generation, code: 4503, reason: "" },
    { type: "online" },
    { type: "offline" },
    { type: "visible" },
    { type: "hidden" },
    { type: "pageshow" },
    { type: "pagehide" },
  ];
  const allowed: Record<Link["kind"], ConnectionStatus[]> = {
    closed: ["disconnected", "error"],
    waiting: ["connecting", "reconnecting", "error"],
    opening: ["connecting", "reconnecting", "error"],
    open: ["connected", "reconnecting"],
  };

  test.each(Object.keys(reach))("from %s every event leads to a state that can be", (name) => {
    for (const event of events(reach[name]?.().state.generation ?? 0)) {
      const driven = reach[name]?.();
      if (!driven) throw new Error(name);
      driven.taken();
      driven.send(event);
      const { status, link, generation } = driven.state;
      expect(allowed[link.kind], `${name} + ${event.type}`).toContain(status);
      const opened = driven.effects.filter((effect) => effect.type === "open");
      expect(opened.length).toBeLessThanOrEqual(1);
      if (opened[0]) expect(opened[0]).toMatchObject({ generation });
    }
  });

  test.each(Object.keys(reach))("from %s a retry, or what runs already, ends connected", (name) => {
    const driven = reach[name]?.();
    if (!driven) throw new Error(name);
    driven.send({ type: "online" }, { type: "retry" });
    driven.hello();
    driven.send({ type: "frame", generation: driven.state.generation });
    expect(driven.state.status).toBe("connected");
  });
});

/** The same numbers at every run: a failure can be looked at. */
function* numbers(seed: number): Generator<number, never> {
  let value = seed;
  for (;;) {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield value / 2_147_483_648;
  }
}

describe("any history", () => {
  const step = (driven: Driven, kind: number, generation: number): Driven => {
    const code = [1006, 1012, 4000, 4008, 4010, 4013][Math.floor(kind * 97) % 6] ?? 1006;
    const events: (() => Driven)[] = [
      () => driven.send({ type: "tick" }),
      () => (driven.delay < Number.POSITIVE_INFINITY ? driven.wake(kind > 0.5 ? 0 : 70_000) : driven),
      () => driven.send({ type: "hello", generation }),
      () => driven.send({ type: "frame", generation }),
      () => driven.send({ type: "closed", generation, code, reason: "" }),
      () => driven.send({ type: "goaway", generation, retryAfter: 3_000 }),
      () => driven.send({ type: "online" }),
      () => driven.send({ type: "offline" }),
      () => driven.send({ type: "visible" }),
      () => driven.send({ type: "hidden" }),
      () => driven.send({ type: "pagehide" }),
      () => driven.send({ type: "pageshow" }),
      () => driven.send({ type: "retry" }),
    ];
    return events[Math.floor(kind * events.length)]?.() ?? driven;
  };

  test("leaves a connection that comes back by itself, with one socket", () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const chance = numbers(seed);
      const driven = new Driven().send({ type: "connect" });
      for (let count = 0; count < 60; count += 1) {
        driven.chance = chance.next().value;
        // One in five events is of a socket that was replaced.
        const generation = driven.state.generation - (chance.next().value < 0.2 ? 1 : 0);
        step(driven, chance.next().value, generation);
      }
      driven.send({ type: "online" }, { type: "visible" });
      const from = driven.now;
      while (driven.state.link.kind !== "opening" && driven.state.link.kind !== "open") driven.wake();
      expect(driven.now - from, `seed ${seed}`).toBeLessThanOrEqual(80_000);
      driven.hello().send({ type: "frame", generation: driven.state.generation });
      expect(driven.state.status, `seed ${seed}`).toBe("connected");
      const generations = driven.effects.flatMap((each) => (each.type === "open" ? [each.generation] : []));
      expect(new Set(generations).size, `seed ${seed}`).toBe(generations.length);
    }
  });
});
