import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer } from "./fakeServer";
import type { Handlers, SocketOptions } from "./options";
import { createReconnectingWebSocket, type ReconnectingWebSocket } from "./socket";

let server: FakeServer;
let socket: ReconnectingWebSocket;

const flush = () => vi.advanceTimersByTimeAsync(0);

async function connect(handlers: Handlers = {}, options: SocketOptions = {}) {
  socket = createReconnectingWebSocket(null, handlers, {
    base: "ws://host",
    reconnectInterval: 1_000,
    world: server.world(),
    ...options,
  });
  await flush();
}

const sent = () => server.last.taken() as Record<string, unknown>[];

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
});

afterEach(() => {
  socket.dispose();
  expect(vi.getTimerCount(), "dispose leaves no timer").toBe(0);
  expect(server.listeners, "dispose leaves no listener").toBe(0);
  expect(server.live, "dispose leaves no socket").toEqual([]);
  vi.useRealTimers();
});

describe("handlers", () => {
  test("that throw are reported, and nothing else suffers", async () => {
    const bang = () => {
      throw new Error("user's fault");
    };
    await connect({
      onOpen: bang,
      onMessage: bang,
      onClose: bang,
      onError: bang,
      onStateChange: bang,
      onResync: bang,
    });
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.onerror?.({});
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: false, epoch: "e2" });
    expect(socket.state.status).toBe("connected");
    expect(server.reported.length).toBeGreaterThan(5);
  });

  test("may retry, leave or dispose from within", async () => {
    const onClose = vi.fn(() => socket.retry());
    await connect({ onClose });
    server.hello({ recovered: false });
    server.last.lose(1006);
    await flush();
    expect(server.sockets.length).toBe(2);
    server.hello({ recovered: true });
    onClose.mockImplementation(() => socket.dispose());
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.sockets.length).toBe(2);
  });

  test("hear of each socket's end once, also of one that never said so itself", async () => {
    const codes: number[] = [];
    await connect({ onClose: ({ code }) => codes.push(code) });
    server.hello({ recovered: false });
    await vi.advanceTimersByTimeAsync(90_000);
    expect(codes).toEqual([4000]);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: true });
    server.last.lose(1012);
    expect(codes).toEqual([4000, 1012]);
    await vi.advanceTimersByTimeAsync(1_000);
    socket.disconnect();
    expect(codes).toEqual([4000, 1012, 1000]);
  });

  test("hear of a change that people can see, not of every frame", async () => {
    const onStateChange = vi.fn();
    await connect({ onStateChange });
    server.hello({ recovered: false });
    const before = onStateChange.mock.calls.length;
    server.snapshot(1);
    for (let gseq = 2; gseq < 1_000; gseq += 1) server.status(gseq);
    expect(onStateChange.mock.calls.length).toBe(before);
    server.last.lose(1006);
    expect(onStateChange).toHaveBeenLastCalledWith(
      expect.objectContaining({ status: "reconnecting" }),
      "connected",
    );
  });

  test("are told when what they know is void, and not at the first hello", async () => {
    const onResync = vi.fn();
    await connect({ onResync });
    server.hello({ recovered: false });
    server.snapshot(7);
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: true });
    expect(onResync).not.toHaveBeenCalled();
    server.last.lose(4010);
    await vi.advanceTimersByTimeAsync(1_000);
    server.hello({ recovered: false });
    expect(onResync).toHaveBeenCalledExactlyOnceWith("tasks");
  });

  test("are called no more after dispose", async () => {
    const handler = vi.fn();
    await connect();
    socket.dispose();
    socket = createReconnectingWebSocket(
      null,
      { onMessage: handler, onClose: handler, onStateChange: () => {} },
      { base: "ws://host", world: server.world() },
    );
    await flush();
    const last = server.last;
    socket.dispose();
    handler.mockClear();
    last.say({ type: "ping" });
    socket.retry();
    socket.connect();
    socket.send({});
    await vi.advanceTimersByTimeAsync(60_000);
    expect(handler).not.toHaveBeenCalled();
    expect([vi.getTimerCount(), server.listeners]).toEqual([0, 0]);
  });
});

describe("one attempt at a time", () => {
  test("connect twice opens one socket", async () => {
    await connect();
    socket.connect();
    socket.retry();
    await flush();
    expect(server.sockets.length).toBe(1);
  });

  test("a token that never comes is given up after ten seconds", async () => {
    await connect({}, { getToken: () => new Promise(() => {}) });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(socket.state).toMatchObject({ failures: 1, link: { kind: "waiting" } });
    expect(server.sockets).toEqual([]);
  });

  test("leaving while a token is fetched opens nothing", async () => {
    let give: (token: string) => void = () => {};
    const token = new Promise<string>((resolve) => {
      give = resolve;
    });
    await connect({}, { getToken: () => token });
    socket.disconnect();
    give("t");
    await flush();
    expect(server.sockets).toEqual([]);
  });

  test("leaving between two attempts ends them", async () => {
    await connect();
    server.last.lose(1006);
    socket.disconnect();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(server.sockets.length).toBe(1);
    expect(socket.state.status).toBe("disconnected");
  });

  test("a server that accepts and never says hello is left after ten seconds", async () => {
    await connect();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(server.last.closedWith).toBe(4000);
  });

  test("goaway's wait is kept", async () => {
    await connect();
    server.hello({ recovered: false });
    server.last.say({ type: "goaway", reason: "drain", retry_after_ms: 4_000 });
    server.last.lose(1012);
    await vi.advanceTimersByTimeAsync(4_400);
    expect(server.sockets.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(server.sockets.length).toBe(2);
  });
});

describe("the token", () => {
  test("is fetched anew once after 4501, then the state is error until somebody asks", async () => {
    const getToken = vi.fn(async (refresh: boolean) => (refresh ? "new" : "old"));
    await connect({}, { getToken });
    server.last.lose(4501);
    await flush();
    expect(getToken.mock.calls).toEqual([[false], [true]]);
    expect(server.last.protocols[1]).toBe(`base64url.bearer.taskws.${btoa("new").replaceAll("=", "")}`);
    server.last.lose(4501);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(server.sockets.length).toBe(2);
    expect(socket.state).toMatchObject({ status: "error", heals: false });
    socket.retry();
    await flush();
    expect(server.sockets.length).toBe(3);
  });

  test("that ends soon is renewed on the living connection", async () => {
    const getToken = vi.fn(async (refresh: boolean) => (refresh ? "new" : "old"));
    await connect({}, { getToken });
    server.hello({ recovered: false });
    server.last.say({ type: "error", code: "token_expiring", message: "", fatal: false });
    server.last.say({ type: "error", code: "token_expiring", message: "", fatal: false });
    await flush();
    expect(sent()).toEqual([{ type: "auth", token: "new" }]);
    expect(server.sockets.length).toBe(1);
  });

  test("is in no error and in no address", async () => {
    const errors: unknown[] = [];
    const world = {
      ...server.world(),
      openSocket: () => {
        throw new Error("refused");
      },
    };
    await connect({ onError: (error) => errors.push(error) }, { getToken: () => "secret", world });
    expect(String(errors)).not.toContain("secret");
    expect(JSON.stringify(socket.state)).not.toContain("secret");
  });
});

describe("sending", () => {
  test("waits for hello, keeps a hundred, and never a ping", async () => {
    await connect();
    for (let n = 0; n < 120; n += 1) socket.send({ type: "note", n });
    expect(sent()).toEqual([]);
    server.hello({ recovered: false });
    await vi.advanceTimersByTimeAsync(20_000);
    const arrived = sent();
    expect(arrived.filter((each) => each.type === "note").map((each) => each.n)).toEqual(
      Array.from({ length: 100 }, (_, n) => n + 20),
    );
    expect(arrived.every((each) => each.type === "note")).toBe(true);
    expect(socket.dropped).toBe(20);
  });

  test("goes at once when there is a connection", async () => {
    await connect();
    server.hello({ recovered: false });
    socket.send({ type: "note" });
    expect(sent()).toEqual([{ type: "note" }]);
  });

  test("a message that nobody took for half a minute is not sent any more", async () => {
    await connect();
    server.last.lose(1006);
    socket.send({ type: "note" });
    socket.disconnect();
    await vi.advanceTimersByTimeAsync(31_000);
    socket.connect();
    await flush();
    server.hello({ recovered: false });
    expect(sent()).toEqual([]);
    expect(socket.dropped).toBe(1);
  });

  test("of a hundred subscriptions after a reconnect stays below what the server allows", async () => {
    await connect();
    for (let n = 0; n < 100; n += 1) socket.subscribe(`task:u${n}`);
    server.hello({ recovered: false });
    expect(sent().length).toBe(20);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent().length).toBeLessThanOrEqual(11);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(sent().at(-1)).toMatchObject({ type: "subscribe", channel: "task:u99" });
  });
});

describe("what comes in", () => {
  test("longer than 1 MiB is not read, and counted", async () => {
    const onMessage = vi.fn();
    await connect({ onMessage });
    server.hello({ recovered: false });
    onMessage.mockClear();
    server.last.say({ type: "ping", padding: "x".repeat(1_048_576) });
    expect(onMessage).not.toHaveBeenCalled();
    expect(sent()).toEqual([]);
    expect(socket.ignored).toBe(1);
  });

  test("of another version of the protocol is not read", async () => {
    await connect();
    server.last.say({ v: 2, type: "hello", conn: "c", epoch: "e", recovered: false, ping_interval: 30 });
    expect(socket.state.link.kind).toBe("opening");
    expect(socket.ignored).toBe(1);
  });
});
