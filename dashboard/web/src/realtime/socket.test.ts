import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer } from "./fakeServer";
import type { ServerMessage } from "./messages";
import type { SocketOptions } from "./options";
import { createReconnectingWebSocket, type ReconnectingWebSocket } from "./socket";
import { taskChannel } from "./tracker";

let server: FakeServer;
let socket: ReconnectingWebSocket;
let heard: ServerMessage[];

const flush = () => vi.advanceTimersByTimeAsync(0);

async function connect(options: SocketOptions = {}, taskId: string | null = null) {
  heard = [];
  socket = createReconnectingWebSocket(
    taskId,
    { onMessage: (message) => heard.push(message) },
    { base: "ws://host", reconnectInterval: 1_000, world: server.world(), ...options },
  );
  await flush();
}

const types = () => heard.map((message) => message.type);

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
});

afterEach(() => {
  socket.dispose();
  expect(vi.getTimerCount(), "dispose leaves no timer").toBe(0);
  expect(server.listeners, "dispose leaves no listener").toBe(0);
  vi.useRealTimers();
});

describe("the address", () => {
  test("asks for version 1 and offers its subprotocol", async () => {
    await connect();
    expect(server.last.url).toBe("ws://host/ws/tasks?v=1");
    expect(server.last.protocols).toEqual(["taskws.v1"]);
  });

  test("of one task holds its uid", async () => {
    await connect({}, "6f1c");
    expect(server.last.url).toBe("ws://host/ws/tasks/6f1c?v=1");
  });

  test("and the protocols may be made anew for each attempt", async () => {
    const protocols = vi.fn(async () => ["taskws.v1", "token"]);
    await connect({ base: async () => "ws://other", protocols });
    expect(server.last).toMatchObject({ url: "ws://other/ws/tasks?v=1", protocols: ["taskws.v1", "token"] });
    expect(protocols).toHaveBeenCalledWith(false);
  });

  test("that cannot be made counts as a failed attempt", async () => {
    await connect({ base: () => Promise.reject(new Error("no token")) });
    expect(socket.state).toMatchObject({ status: "connecting", failures: 1 });
  });
});

describe("resuming", () => {
  test("names the last number and epoch, and drops what was heard before", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.status(8);
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.last.url).toBe("ws://host/ws/tasks?v=1&since=8&epoch=e1");
    server.hello({ recovered: true });
    server.status(8);
    server.status(9);
    expect(types()).toEqual(["hello", "snapshot", "task.status", "hello", "task.status"]);
  });

  test("after a restarted server takes the snapshot and its numbering", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.lose(1012);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: false, epoch: "e2" });
    server.snapshot(2, "e2");
    server.status(3, "e2");
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(server.last.url).toContain("since=3&epoch=e2");
  });

  test("a position is taken only from the last part of a snapshot", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7, "e1", { part: 1, parts: 2 });
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.last.url).toBe("ws://host/ws/tasks?v=1");
  });

  const gseqs = () => heard.flatMap((each) => (each.type === "task.status" ? [each.gseq] : []));

  test("a hole asks once for what is missing, and all is heard once and in order", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.taken();
    server.status(10);
    server.status(11);
    expect(server.last.taken()).toMatchObject([
      { type: "subscribe", channel: "tasks", since: 7, epoch: "e1" },
    ]);
    expect(gseqs()).toEqual([]);
    server.subscribed("tasks", true);
    for (const seq of [8, 9, 10, 11, 12]) server.status(seq);
    expect(gseqs()).toEqual([8, 9, 10, 11, 12]);
    expect(server.last.taken()).toEqual([]);
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.last.url).toContain("since=12");
  });

  test("behind a hole that the server will not fill, what came is heard all the same", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.taken();
    server.status(10);
    const [asked] = server.last.taken() as { id: number }[];
    server.last.say({ type: "error", code: "unknown_task", message: "", id: asked?.id });
    expect(gseqs()).toEqual([10]);
  });

  test("behind a hole that the server is silent about, what came is heard after ten seconds", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.status(10);
    await vi.advanceTimersByTimeAsync(11_000);
    server.status(11);
    expect(gseqs()).toEqual([10, 11]);
  });

  test("code 4010 forgets the position", async () => {
    await connect();
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.lose(4010);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.last.url).toBe("ws://host/ws/tasks?v=1");
  });
});

describe("one socket", () => {
  test("never two, in a ten-minute outage with online, visible and retry in between", async () => {
    await connect();
    server.hello({ recovered: false });
    server.last.lose(1006);
    for (let minute = 0; minute < 10; minute += 1) {
      server.tell("offline");
      server.tell("online");
      server.tell("hidden");
      server.tell("visible");
      socket.retry();
      await vi.advanceTimersByTimeAsync(30_000);
      expect(server.live.length).toBeLessThanOrEqual(1);
      server.last.lose(1006);
      await vi.advanceTimersByTimeAsync(30_000);
    }
    for (let second = 0; second < 120 && server.live.length === 0; second += 1)
      await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: true });
    expect(server.live.length).toBe(1);
    expect(socket.state.status).toBe("connected");
  });

  test("a dead one is let go at the heartbeat's end, though it never fires close", async () => {
    await connect();
    server.hello({ recovered: false });
    const dead = server.last;
    await vi.advanceTimersByTimeAsync(30_000 + 60_000 + 1_000);
    expect(dead.closedWith).toBe(4000);
    expect(server.last).not.toBe(dead);
    dead.lose(4503);
    expect(socket.state.status).toBe("reconnecting");
  });

  test("a page that sleeps for a minute does not kill a living connection", async () => {
    await connect();
    server.hello({ recovered: false });
    await vi.advanceTimersByTimeAsync(30_000);
    server.sleep(120_000);
    await flush();
    server.last.say({ type: "pong", id: 1 });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(socket.state).toMatchObject({ status: "connected", generation: 1 });
  });

  test("retry while connected does nothing", async () => {
    await connect();
    server.hello({ recovered: false });
    socket.retry();
    await flush();
    expect(server.sockets.length).toBe(1);
  });
});

describe("messages", () => {
  test("a ping is answered with its id", async () => {
    await connect();
    server.hello({ recovered: false });
    server.last.say({ type: "ping", id: 7 });
    expect(server.last.taken()).toEqual([{ type: "pong", id: 7 }]);
  });

  test("what is no JSON, or of an unknown type, is counted and ignored", async () => {
    await connect();
    server.hello({ recovered: false });
    for (const text of ["{", "[]", "7", '{"type":"task.dreamt"}']) server.last.onmessage?.({ data: text });
    expect(socket.ignored).toBe(4);
    expect(types()).toEqual(["hello"]);
  });
});

describe("channels", () => {
  test("are joined at once, again after a reconnect, and left by the last user", async () => {
    await connect();
    server.hello({ recovered: false });
    const leave = socket.subscribe(taskChannel("u1"));
    const leaveToo = socket.subscribe(taskChannel("u1"));
    expect(server.last.taken()).toMatchObject([{ type: "subscribe", channel: "task:u1" }]);
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: true });
    expect(server.last.taken()).toMatchObject([{ type: "subscribe", channel: "task:u1" }]);
    leave();
    leave();
    expect(server.last.taken()).toEqual([]);
    leaveToo();
    expect(server.last.taken()).toMatchObject([{ type: "unsubscribe", channel: "task:u1" }]);
  });

  test("joined before the server said hello are asked for then", async () => {
    await connect();
    socket.subscribe(taskChannel("u1"));
    expect(server.last.taken()).toEqual([]);
    server.hello({ recovered: false });
    expect(server.last.taken()).toMatchObject([{ type: "subscribe", channel: "task:u1" }]);
  });
});
