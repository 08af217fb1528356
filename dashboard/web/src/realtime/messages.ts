/** The WebSocket's messages, version 1, as they travel: envelope in snake_case, payload in camelCase. */

import type { LogLine, OperatorHealth, Progress, TaskView } from "../api/types";

interface Envelope {
  task_id: string;
  namespace: string;
  name: string;
  seq: number;
  gseq: number;
  epoch: string;
  /** So many frames before this one were left out for newer ones: the hole is meant. */
  coalesced?: number | null;
}

export interface Hello {
  type: "hello";
  epoch: string;
  seq: number;
  recovered: boolean;
  filtered?: boolean;
  /** Seconds between the server's heartbeats. */
  ping_interval?: number;
  operator?: OperatorHealth | null;
}

export interface SnapshotEntry {
  task_id: string;
  seq: number;
  data: TaskView;
}

export type AllSnapshot = {
  type: "snapshot";
  task_id: null;
  gseq: number;
  epoch: string;
  part?: number;
  parts?: number;
  data: SnapshotEntry[];
};

export type TaskSnapshot = Omit<Envelope, "coalesced"> & { type: "snapshot"; data: TaskView };
export type TaskEvent =
  | (Envelope & { type: "task.status"; data: TaskView })
  | (Envelope & { type: "task.progress"; data: Progress })
  | (Envelope & { type: "task.deleted" });
export type TaskLog = {
  type: "task.log";
  task_id: string;
  data: { attempt: number; lines: LogLine[] };
};
export type Subscribed = {
  type: "subscribed";
  id?: number | null;
  channel: string;
  epoch: string;
  seq: number;
  recovered: boolean;
};

export type ServerMessage =
  | Hello
  | AllSnapshot
  | TaskSnapshot
  | TaskEvent
  | TaskLog
  | Subscribed
  | { type: "unsubscribed"; channel: string }
  | { type: "operator.health"; data: OperatorHealth }
  | { type: "ping"; id?: number | null }
  | { type: "pong"; id?: number | null }
  | { type: "goaway"; reason: string; retry_after_ms: number }
  | { type: "error"; code: string; message: string; id?: number | null; fatal?: boolean };

export type ClientMessage =
  | { type: "ping"; id: number }
  | { type: "pong"; id?: number }
  | { type: "subscribe"; id: number; channel: string; since?: number; epoch?: string }
  | { type: "unsubscribe"; id: number; channel: string };

const KNOWN: ReadonlySet<string> = new Set<ServerMessage["type"]>([
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

/** Return the message, or null when it is no JSON object of a type this page knows (a newer server may send more). */
export function parseMessage(text: unknown): ServerMessage | null {
  if (typeof text !== "string") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return null;
  return typeof value.type === "string" && KNOWN.has(value.type) ? (value as ServerMessage) : null;
}

export function isAllSnapshot(message: AllSnapshot | TaskSnapshot): message is AllSnapshot {
  return Array.isArray(message.data);
}
