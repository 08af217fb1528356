import { describe, expect, test } from "vitest";
import {
  type Connection,
  DEFAULTS,
  type Effect,
  type Environment,
  type Event,
  floorOf,
  initial,
  isTerminal,
  type Link,
  next,
  type Options,
  type Status,
  wakeAt,
} from "./connection";

const OPTIONS: Options = { ...DEFAULTS, reconnectInterval: 1_000 };

/** A connection driven by hand: a clock that is moved and chance that is chosen. */
class Driven {
  state: Connection;
  effects: Effect[] = [];
  now = 1_000_000;
  chance = 0.5;

  constructor(private readonly options: Options = OPTIONS) {
    this.state = initial(options, { online: true, visible: true });
  }

  send(...events: Event[]): this {
    for (const event of events) {
      const environment: Environment = { now: this.now, random: () => this.chance, options: this.options };
      const [state, effects] = next(this.state, event, environment);
      this.state = state;
      this.effects.push(...effects);
    }
    return this;
  }

  /** Move the clock to where something is due, and let it happen. */
  wake(late = 0): this {
    const at = wakeAt(this.state);
    if (at === null) throw new Error("nothing is due");
    this.now = Math.max(this.now, at) + late;
    return this.send({ type: "tick" });
  }

  open(): this {
    return this.send({ type: "connect" }, { type: "hello", generation: this.state.generation + 1 });
  }

  fail(code = 1006): this {
    return this.send({ type: "closed", generation: this.state.generation, code, reason: "" });
  }

  hello(): this {
    return this.send({ type: "hello", generation: this.state.generation });
  }

  stable(): this {
    this.now += 5_000;
    return this.send({ type: "tick" });
  }

  taken(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  get delay(): number {
    return (wakeAt(this.state) ?? Number.POSITIVE_INFINITY) - this.now;
  }
}

const opens = (effects: Effect[]) => effects.filter((effect) => effect.type === "open").length;

function exhausted(): Driven {
  const driven = new Driven().open().stable();
  driven.fail();
  for (let attempt = 0; attempt < 10; attempt += 1) driven.wake().fail();
  return driven;
}

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

describe("close codes", () => {
  const TERMINAL = [1002, 1003, 1007, 1008, 1009, 1010, 4500, 4501, 4503, 4504, 4505, 4506, 4999];
  const PASSING = [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 4000, 4001, 4008, 4010, 4013, 4029, 4499];

  test.each(TERMINAL)("%d is terminal: red at once, and only the button tries again", (code) => {
    expect(isTerminal(code)).toBe(true);
    const driven = new Driven().open().stable().fail(code);
    expect(driven.state).toMatchObject({ status: "error", heals: false, link: { kind: "closed" } });
    driven.taken();
    driven.send({ type: "online" }, { type: "visible" }, { type: "pageshow" }, { type: "tick" });
    expect(opens(driven.taken())).toBe(0);
    driven.send({ type: "retry" });
    expect(opens(driven.taken())).toBe(1);
    expect(driven.state.heals).toBe(true);
  });

  test.each(PASSING)("%d reconnects", (code) => {
    expect(isTerminal(code)).toBe(false);
    const driven = new Driven().open().stable().fail(code);
    expect(driven.state).toMatchObject({ status: "reconnecting", link: { kind: "waiting" } });
  });

  test.each([
    [1013, 5_000],
    [4013, 10_000],
    [4029, 15_000],
    [1006, 0],
  ])("%d waits at least %d ms", (code, floor) => {
    expect(floorOf(code)).toBe(floor);
    const driven = new Driven().open().stable();
    driven.chance = 0;
    expect(driven.fail(code).delay).toBeGreaterThanOrEqual(floor);
  });

  test("goaway's wait is kept, with chance added", () => {
    const driven = new Driven().open().stable();
    driven.send({ type: "goaway", generation: driven.state.generation, retryAfter: 4_200 });
    expect(driven.fail(1012).delay).toBe(4_700);
    expect(driven.state.retryAfter).toBeNull();
  });

  test("4010 forgets the position", () => {
    const driven = new Driven().open().stable();
    driven.taken();
    expect(driven.fail(4010).taken()).toContainEqual({ type: "forget-position" });
  });

  test("4501 fetches a token once, then is terminal", () => {
    const driven = new Driven({ ...OPTIONS, canRefreshToken: true }).open().stable();
    driven.taken();
    driven.fail(4501);
    expect(driven.taken()).toContainEqual({ type: "open", generation: 2, refreshToken: true });
    expect(driven.fail(4501).state).toMatchObject({ status: "error", heals: false });
  });
});

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
});

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

  test("a hidden tab tries at the longest wait and spends no attempts", () => {
    const driven = new Driven().open().stable().send({ type: "hidden" }).fail();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      expect(driven.delay).toBe(30_000);
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
});

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
  const allowed: Record<Link["kind"], Status[]> = {
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
