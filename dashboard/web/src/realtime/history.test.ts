import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeServer } from "./fakeServer";
import type { ServerMessage } from "./messages";
import { createReconnectingWebSocket, type ReconnectingWebSocket } from "./socket";

/** A server with a log, as honest as ours: it replays, or says that it cannot and sends a snapshot. */
class LoggingServer extends FakeServer {
  epoch = 1;
  readonly phases = new Map<string, number>();
  private events: object[] = [];
  private first = 1;

  get head(): number {
    return this.first + this.events.length - 1;
  }

  /** A task changes; whether the frame arrives is chance. */
  publish(uid: string, arrives: boolean): void {
    const phase = (this.phases.get(uid) ?? 0) + 1;
    this.phases.set(uid, phase);
    const numbers = { seq: phase, gseq: this.head + 1, epoch: `e${this.epoch}` };
    this.events.push({ v: 1, type: "task.status", task_id: uid, ...numbers, data: { uid, phase } });
    if (arrives) this.say(this.events.at(-1));
  }

  say(message: object | undefined): void {
    if (message && this.sockets.at(-1)?.isLive) this.last.say(message);
  }

  /** The log is lost, or its older part is. */
  restart(): void {
    this.epoch += 1;
    this.first = 1;
    this.events = [];
    for (const uid of this.phases.keys()) this.phases.set(uid, (this.phases.get(uid) ?? 0) + 1);
  }

  shorten(): void {
    const dropped = this.events.splice(0, Math.floor(this.events.length / 2));
    this.first += dropped.length;
  }

  /** Greet a socket that was opened, or answer what the newest one asked. */
  serve(): void {
    const socket = this.sockets.at(-1);
    if (!socket?.isLive) return;
    if (!this.greeted.has(socket)) {
      this.greeted.add(socket);
      const query = new URL(socket.url).searchParams;
      const replay = this.since(Number(query.get("since") ?? Number.NaN), query.get("epoch"));
      this.hello({ recovered: replay !== null, epoch: `e${this.epoch}` });
      this.follow(replay);
    }
    for (const asked of socket.taken() as Record<string, unknown>[]) {
      if (asked.type === "ping") socket.say({ type: "pong", id: asked.id });
      if (asked.type !== "subscribe") continue;
      const replay = this.since(Number(asked.since ?? Number.NaN), String(asked.epoch));
      const answer = { channel: "tasks", epoch: `e${this.epoch}`, recovered: replay !== null };
      socket.say({ v: 1, type: "subscribed", seq: this.head, replayed: replay?.length ?? 0, ...answer });
      this.follow(replay);
    }
  }

  private readonly greeted = new Set<object>();

  private since(position: number, epoch: string | null): object[] | null {
    const known = epoch === `e${this.epoch}` && position >= this.first - 1 && position <= this.head;
    return known ? this.events.slice(position - this.first + 1) : null;
  }

  private follow(replay: object[] | null): void {
    if (replay !== null) for (const event of replay) this.say(event);
    else {
      const data = [...this.phases].map(([uid, phase]) => ({
        task_id: uid,
        seq: phase,
        data: { uid, phase },
      }));
      this.say({ v: 1, type: "snapshot", task_id: null, gseq: this.head, epoch: `e${this.epoch}`, data });
    }
  }
}

let socket: ReconnectingWebSocket;
let server: LoggingServer;
/** What the client makes of what it hears, in the order in which it hears it; nothing is put right here. */
let view: Map<string, number>;
let backwards: string[];

function hear(message: ServerMessage): void {
  const phaseOf = (task: object) => (task as { phase: number }).phase;
  if (message.type === "snapshot" && Array.isArray(message.data)) {
    view = new Map(message.data.map((entry) => [entry.task_id, phaseOf(entry.data)]));
  }
  if (message.type === "task.status") {
    const had = view.get(message.task_id) ?? 0;
    if (phaseOf(message.data) <= had) backwards.push(`${message.task_id}: ${had} → ${phaseOf(message.data)}`);
    view.set(message.task_id, phaseOf(message.data));
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  socket.dispose();
  vi.useRealTimers();
});

function* numbers(seed: number): Generator<number, never> {
  let value = seed;
  for (;;) {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield value / 2_147_483_648;
  }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed + 1))(
  "history %d of losses, holes, repetitions and restarts ends in what the server knows",
  async (seed) => {
    const chance = numbers(seed * 7_919);
    server = new LoggingServer();
    view = new Map();
    backwards = [];
    socket = createReconnectingWebSocket(
      null,
      { onMessage: hear },
      { base: "ws://host", reconnectInterval: 1_000, maxReconnectAttempts: 1_000, world: server.world() },
    );
    await vi.advanceTimersByTimeAsync(0);
    for (let step = 0; step < 80; step += 1) {
      const dice = chance.next().value;
      const isUp = server.sockets.at(-1)?.isLive && socket.state.link.kind === "open";
      if (dice < 0.5)
        server.publish(`u${Math.floor(dice * 10)}`, Boolean(isUp) && chance.next().value > 0.15);
      else if (dice < 0.6 && isUp) server.last.lose(chance.next().value < 0.2 ? 4010 : 1006);
      else if (dice < 0.63 && isUp) {
        server.last.lose(1012);
        server.restart();
      } else if (dice < 0.68) server.shorten();
      else if (dice < 0.75) server.tell(dice < 0.72 ? "offline" : "online");
      else await vi.advanceTimersByTimeAsync(Math.floor(chance.next().value * 2_000));
      server.serve();
    }
    server.tell("online");
    for (let second = 0; second < 60 && socket.state.status !== "connected"; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      server.serve();
    }
    // The last event shows a hole before it, and what answers it.
    for (let last = 0; last < 2; last += 1) {
      server.publish("u0", true);
      server.serve();
      await vi.advanceTimersByTimeAsync(5_000);
      server.serve();
    }
    expect(view).toEqual(server.phases);
    expect(backwards).toEqual([]);
  },
);
