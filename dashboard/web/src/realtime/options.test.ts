import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MAX_MESSAGE_SIZE, machineOptions, outboxLimits, subprotocols } from "./options";
import { OUTBOX_DEFAULTS } from "./outbox";
import { DEFAULTS } from "./state";

test("the defaults are those that the original promised", () => {
  expect(machineOptions({})).toMatchObject({
    autoReconnect: true,
    reconnectInterval: 3_000,
    maxReconnectAttempts: 10,
    heartbeatInterval: 30_000,
    heartbeatTimeout: 60_000,
    maxReconnectInterval: 30_000,
  });
});

test("undefined is the same as not given", () => {
  const given = { reconnectInterval: undefined } as unknown as { reconnectInterval: number };
  expect(machineOptions(given).reconnectInterval).toBe(3_000);
  expect(outboxLimits({ queueSize: 7 })).toEqual({ queueSize: 7, queueTtl: 30_000 });
});

test("a token travels as the second subprotocol, whatever its letters", async () => {
  const token = "t/+=é";
  const [first, second] = await subprotocols({ getToken: () => token }, false);
  expect(first).toBe("taskws.v1");
  expect(second).toMatch(/^base64url\.bearer\.taskws\.[A-Za-z0-9_-]+$/);
  const encoded = second?.split(".")[3] ?? "";
  expect(Buffer.from(encoded, "base64url").toString("utf8")).toBe(token);
});

test("without a token there is only the version", async () => {
  expect(await subprotocols({}, false)).toEqual(["taskws.v1"]);
  expect(await subprotocols({ getToken: async () => null }, false)).toEqual(["taskws.v1"]);
});

test("who can make a token can make it anew", () => {
  expect(machineOptions({}).canRefreshToken).toBe(false);
  expect(machineOptions({ getToken: () => "t" }).canRefreshToken).toBe(true);
});

test("the documented defaults are those in force", () => {
  const docs = readFileSync(new URL("../../../../docs/client.md", import.meta.url), "utf8");
  const documented = new Map(
    [...docs.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|/gm)].flatMap(([, names = "", values = ""]) => {
      const each = values.split(", ");
      return [...names.matchAll(/\w+/g)].map(([name], index) => [name, each[index]?.trim()] as const);
    }),
  );
  const { canRefreshToken: _, ...options } = {
    ...DEFAULTS,
    ...OUTBOX_DEFAULTS,
    maxMessageSize: MAX_MESSAGE_SIZE,
  };
  for (const [name, value] of Object.entries(options)) expect(documented.get(name), name).toBe(String(value));
});
