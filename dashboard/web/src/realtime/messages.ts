/** The WebSocket's messages, version 1, as they travel: envelope in snake_case, payload in camelCase. */

import type { Schemas, Wire } from "../api/types";

export type Hello = Wire<Schemas["Hello"]>;
export type SnapshotEntry = Wire<Schemas["SnapshotEntry"]>;
export type AllSnapshot = Wire<Schemas["AllSnapshot"]>;
export type TaskSnapshot = Wire<Schemas["TaskSnapshot"]>;
export type TaskLog = Wire<Schemas["TaskLog"]>;
export type ServerMessage = Wire<
  | Schemas["Hello"]
  | Schemas["AllSnapshot"]
  | Schemas["TaskSnapshot"]
  | Schemas["TaskStatus"]
  | Schemas["TaskProgress"]
  | Schemas["TaskDeleted"]
  | Schemas["TaskLog"]
  | Schemas["OperatorHealthChanged"]
  | Schemas["Subscribed"]
  | Schemas["Unsubscribed"]
  | Schemas["Ping"]
  | Schemas["Pong"]
  | Schemas["GoAway"]
  | Schemas["ErrorMessage"]
>;

export type ClientMessage =
  | { type: "ping"; id: number }
  | { type: "pong"; id?: number }
  | { type: "subscribe"; id: number; channel: string; since?: number; epoch?: string }
  | { type: "unsubscribe"; id: number; channel: string }
  | { type: "auth"; token: string };

export const KNOWN: ReadonlySet<string> = new Set<ServerMessage["type"]>([
  "hello",
  "snapshot",
  "task.status",
  "task.progress",
  "task.deleted",
  "task.log",
  "subscribed",
  "unsubscribed",
  "operator.health",
  "ping",
  "pong",
  "goaway",
  "error",
]);

const VERSION = 1;
/**
 * Return the message, or null when it is too long (in characters), no JSON object, of a type this page does not know, or of another
 * version (a newer server may send more).
 */
export function parseMessage(text: unknown, longest = Number.POSITIVE_INFINITY): ServerMessage | null {
  if (typeof text !== "string" || text.length > longest) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return null;
  if ("v" in value && value.v !== VERSION) return null;
  return typeof value.type === "string" && KNOWN.has(value.type) ? (value as ServerMessage) : null;
}

/** Both snapshots have one type name; the one of all tasks carries a list. */
export function isAllSnapshot(message: AllSnapshot | TaskSnapshot): message is AllSnapshot {
  return Array.isArray(message.data);
}
