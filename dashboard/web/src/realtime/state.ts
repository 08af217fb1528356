/** The connection as one value: what it may be, what may happen to it, and what is to be done then. No behaviour. */

/** What people see. */
export type ConnectionStatus = "connecting" | "connected" | "reconnecting" | "disconnected" | "error";

/** All times in milliseconds. */
export interface Options {
  /** Try again after a loss that the server does not call final. */
  autoReconnect: boolean;
  /** First back-off; doubles with each failure. The wait is anything up to it. */
  reconnectInterval: number;
  maxReconnectInterval: number;
  /** Failures in a row before the state turns to `error`; trying goes on, slowly. */
  maxReconnectAttempts: number;
  /** Ping after so long a silence; the server may ask for less. */
  heartbeatInterval: number;
  /** A ping that no frame follows for so long means the connection is gone. */
  heartbeatTimeout: number;
  /** The server must have said hello by then. */
  connectTimeout: number;
  /** One attempt in about so long while in `error`. */
  healInterval: number;
  /** Whether there is a token to fetch anew after code 4501. */
  canRefreshToken: boolean;
}

export const DEFAULTS: Options = {
  autoReconnect: true,
  reconnectInterval: 3_000,
  maxReconnectInterval: 30_000,
  maxReconnectAttempts: 10,
  heartbeatInterval: 30_000,
  heartbeatTimeout: 60_000,
  connectTimeout: 10_000,
  healInterval: 60_000,
  canRefreshToken: false,
};

export const NEVER = Number.POSITIVE_INFINITY;

/** What the one socket does. */
export type Link =
  | { kind: "closed" }
  /** Until `at`; what the browser tells may end it earlier, but not before the moment that the server asked for. */
  | { kind: "waiting"; at: number; notBefore: number }
  | { kind: "opening"; deadline: number }
  /** `graced`: the browser held our timer back, so the silence got one more turn. */
  | { kind: "open"; pingAt: number; pongBy: number; stableAt: number; graced: boolean };

export interface Connection {
  status: ConnectionStatus;
  link: Link;
  /** Number of the newest socket; events of older ones are ignored. */
  generation: number;
  /** Failed attempts in a row. */
  failures: number;
  /** What the browser says of the network. */
  online: boolean;
  visible: boolean;
  /** False after a code that only the user can mend. */
  heals: boolean;
  /** Wait at least so long after the next close, as the server's `goaway` asked. */
  retryAfter: number | null;
  /** The token was fetched anew and nothing has been stable since. */
  tokenRefreshed: boolean;
  pingInterval: number;
  lastClose: { code: number; reason: string } | null;
  /** When data was last known to be fresh. */
  freshUntil: number | null;
}

export type Event =
  | { type: "connect" }
  | { type: "disconnect" }
  | { type: "retry" }
  | { type: "tick" }
  | { type: "hello"; generation: number; pingInterval?: number }
  | { type: "frame"; generation: number }
  | { type: "goaway"; generation: number; retryAfter: number }
  | { type: "closed"; generation: number; code: number; reason: string }
  | { type: "online" }
  | { type: "offline" }
  | { type: "visible" }
  | { type: "hidden" }
  | { type: "pageshow" }
  | { type: "pagehide" };

export type Effect =
  | { type: "open"; generation: number; refreshToken: boolean }
  | { type: "close"; code: number; reason: string }
  | { type: "ping" }
  | { type: "forget-position" };

export interface Environment {
  now: number;
  /** In [0, 1). */
  random: () => number;
  options: Options;
}

export type Step = readonly [Connection, readonly Effect[]];

export function initial(options: Options, at: { online: boolean; visible: boolean }): Connection {
  return {
    status: "disconnected",
    link: { kind: "closed" },
    generation: 0,
    failures: 0,
    online: at.online,
    visible: at.visible,
    heals: true,
    retryAfter: null,
    tokenRefreshed: false,
    pingInterval: options.heartbeatInterval,
    lastClose: null,
    freshUntil: null,
  };
}

/** When `tick` is next due; null when nothing happens by itself. */
export function wakeAt(state: Connection): number | null {
  const at = dueAt(state.link);
  return Number.isFinite(at) ? at : null;
}

function dueAt(link: Link): number {
  switch (link.kind) {
    case "closed":
      return NEVER;
    case "waiting":
      return link.at;
    case "opening":
      return link.deadline;
    case "open":
      return Math.min(link.pingAt, link.pongBy, link.stableAt);
  }
}

/** Whether anybody who looks sees a difference; a frame that proves the other side alive makes none. */
export function looksDifferent(before: Connection, after: Connection): boolean {
  const sameLink =
    before.link.kind === after.link.kind &&
    (after.link.kind !== "waiting" || (before.link.kind === "waiting" && before.link.at === after.link.at));
  return !(
    sameLink &&
    before.status === after.status &&
    before.failures === after.failures &&
    before.online === after.online &&
    before.heals === after.heals &&
    before.lastClose === after.lastClose
  );
}
