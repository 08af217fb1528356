// The files are written and compared by the server's tests: what is read here is what travels.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer } from "./fakeServer";
import { KNOWN, parseMessage, type ServerMessage } from "./messages";
import { createReconnectingWebSocket, type ReconnectingWebSocket } from "./socket";
import { TaskStore } from "./store";

const FOLDER = new URL("../../../../tests/golden/", import.meta.url);
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const read = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
const fromServer = files.filter((name) => name.startsWith("server-"));
const fromClient = files.filter((name) => name.startsWith("client-"));
/** A value with every leaf replaced by the name of its type. */
const shape = (value: object) =>
  Object.fromEntries(Object.entries(value).map(([key, each]) => [key, typeof each]));

describe("what the server sends", () => {
  test.each(fromServer)("%s is known", (name) => {
    expect(parseMessage(JSON.stringify(read(name)))).toEqual(read(name));
  });

  test("has no type that the page has no name for, and the other way round", () => {
    expect(new Set(fromServer.map((name) => read(name).type))).toEqual(new Set(KNOWN));
  });

  test.each(fromServer.filter((name) => "v" in read(name)))("%s of another version is not read", (name) => {
    expect(parseMessage(JSON.stringify({ ...read(name), v: 2 }))).toBeNull();
  });
});

describe("a socket", () => {
  let server: FakeServer;
  let socket: ReconnectingWebSocket;
  let heard: ServerMessage[];

  const say = (name: string, changed: object = {}) => server.last.say({ ...read(name), ...changed });
  const connect = async (uid: string | null) => {
    heard = [];
    socket = createReconnectingWebSocket(
      uid,
      { onMessage: (message) => heard.push(message) },
      { base: "ws://host", world: server.world(), getToken: () => "a-token" },
    );
    await vi.advanceTimersByTimeAsync(0);
  };

  beforeEach(() => {
    vi.useFakeTimers();
    server = new FakeServer();
  });

  afterEach(() => {
    socket.dispose();
    vi.useRealTimers();
  });

  test("understands a whole conversation about all tasks", async () => {
    await connect(null);
    const conversation = ["hello", "snapshot-all", "task-status"].map((each) => `server-${each}.json`);
    for (const name of conversation) say(name);
    // One event was left out for this one (`coalesced`), which is no hole.
    say("server-task-progress.json");
    say("server-task-deleted.json");
    expect(heard.length).toBe(5);
    expect(server.last.taken()).toEqual([]);
    server.last.lose(1006);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(server.last.url).toBe("ws://host/ws/tasks?v=1&since=44&epoch=9f2c");
  });

  test("understands a whole conversation about one task", async () => {
    await connect("uid-1");
    say("server-hello.json");
    say("server-snapshot-task.json");
    say("server-task-status.json");
    say("server-task-log.json");
    say("server-goaway.json");
    server.last.lose(1012);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(server.last.url).toBe("ws://host/ws/tasks/uid-1?v=1&since=3&epoch=9f2c");
  });

  test.each(fromClient)("sends what the server understands as %s", async (name) => {
    const { type } = read(name);
    await connect(type === "subscribe" ? "uid-1" : null);
    say("server-hello.json");
    if (type === "pong") say("server-ping.json");
    if (type === "ping") await vi.advanceTimersByTimeAsync(30_000);
    if (type === "unsubscribe") socket.subscribe("task:uid-1")();
    if (type === "subscribe") {
      say("server-snapshot-task.json");
      say("server-task-deleted.json"); // three numbers too far: the part between is asked for
    }
    if (type === "auth") {
      say("server-error.json", { code: "token_expiring" });
      await vi.advanceTimersByTimeAsync(0);
    }
    const sent = server.last.taken() as { type: string }[];
    const found = sent.find((each) => each.type === type);
    expect(found && shape(found)).toEqual(shape(read(name)));
  });

  test("fills a store", async () => {
    const store = new TaskStore((flush) => flush());
    for (const name of ["hello", "snapshot-all", "task-status", "task-progress"]) {
      store.apply(parseMessage(JSON.stringify(read(`server-${name}.json`))) as ServerMessage);
    }
    await connect(null);
    expect(store.find("default", "demo")).toMatchObject({ uid: "uid-1", progress: { tick: 7 } });
    expect(store.getHealth().state).toBe("Healthy");
    store.apply(parseMessage(JSON.stringify(read("server-task-deleted.json"))) as ServerMessage);
    expect(store.getTasks().tasks).toEqual([]);
  });
});
