/**
 * The connection as one value, and the only function that changes it. Pure: time and chance are arguments, and what
 * is to be done comes back as effects. `socket.ts` runs it; the indicator shows it. Rules: realtime.md 7, 3.3.
 *
 * `status` is what people see; `link` is what the one socket does. A socket that a newer one replaced is told by its
 * generation, so a late event of it changes nothing.
 */

export type Status = "connecting" | "connected" | "reconnecting" | "disconnected" | "error";

export interface Options {
  /** First back-off in ms; doubles with each failure. */
  reconnectInterval: number;
  maxReconnectInterval: number;
  /** Failures in a row before the state turns to `error`; trying goes on, slowly. */
  maxReconnectAttempts: number;
  heartbeatInterval: number;
  /** A ping that no frame follows for so many ms means the connection is gone. */
  heartbeatTimeout: number;
  connectTimeout: number;
  /** One attempt in about so many ms while in `error`. */
  healInterval: number;
  autoReconnect: boolean;
  /** Whether there is a token to fetch anew after code 4501. */
  canRefreshToken: boolean;
}

export const DEFAULTS: Options = {
  reconnectInterval: 3_000,
  maxReconnectInterval: 30_000,
  maxReconnectAttempts: 10,
  heartbeatInterval: 30_000,
  heartbeatTimeout: 60_000,
  connectTimeout: 10_000,
  healInterval: 60_000,
  autoReconnect: true,
  canRefreshToken: false,
};

const MIN_DELAY = 250;
const STABLE_AFTER = 5_000;
const PROBE_TIMEOUT = 4_000;
/** A timer so late was held back by the browser: the silence may be our own, so one more turn is given. */
const LATE = 1_000;
const GRACE = 2_000;
const NEVER = Number.POSITIVE_INFINITY;

export type Link =
  | { kind: "closed" }
  | { kind: "waiting"; at: number }
  | { kind: "opening"; deadline: number }
  | { kind: "open"; pingAt: number; pongBy: number; stableAt: number; graced: boolean };

export interface Connection {
  status: Status;
  link: Link;
  /** Number of the newest socket; events of older ones are ignored. */
  generation: number;
  /** Failed attempts in a row. */
  failures: number;
  online: boolean;
  visible: boolean;
  /** False after a code that only the user can mend. */
  heals: boolean;
  /** Wait at least so long after the next close, as the server's `goaway` asked. */
  retryAfter: number | null;
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

export function next(state: Connection, event: Event, env: Environment): Step {
  switch (event.type) {
    case "connect":
    case "retry":
      return retry(state, env);
    case "disconnect":
      return disconnect(state);
    case "tick":
      return tick(state, env);
    case "hello":
      return event.generation === state.generation ? hello(state, event.pingInterval, env) : [state, []];
    case "frame":
      return event.generation === state.generation ? heard(state, env) : [state, []];
    case "goaway":
      return event.generation === state.generation
        ? [{ ...state, retryAfter: event.retryAfter }, []]
        : [state, []];
    case "closed":
      return event.generation === state.generation ? closed(state, event, env) : [state, []];
    case "online":
      return wake({ ...state, online: true }, env);
    case "offline":
      return offline(state);
    case "visible":
      return wake({ ...state, visible: true }, env);
    case "hidden":
      return [{ ...state, visible: false }, []];
    case "pageshow":
      return wake({ ...state, visible: true }, env);
    case "pagehide":
      return pagehide(state);
  }
}

/** The user, or the program, wants a connection now. */
function retry(state: Connection, env: Environment): Step {
  if (state.link.kind === "open" || state.link.kind === "opening") return [state, []];
  if (state.status === "disconnected") {
    const fresh = { ...state, failures: 0, heals: true, tokenRefreshed: false };
    return open({ ...fresh, status: state.freshUntil === null ? "connecting" : "reconnecting" }, env);
  }
  return open({ ...state, heals: true, tokenRefreshed: false }, env);
}

function disconnect(state: Connection): Step {
  if (state.status === "disconnected") return [state, []];
  const effects: Effect[] = [{ type: "close", code: 1000, reason: "left" }];
  // A new generation: nothing that the old socket still says counts.
  return [
    { ...state, status: "disconnected", link: { kind: "closed" }, generation: state.generation + 1 },
    effects,
  ];
}

function open(state: Connection, env: Environment, refreshToken = false): Step {
  const generation = state.generation + 1;
  const link: Link = { kind: "opening", deadline: env.now + env.options.connectTimeout };
  return [{ ...state, generation, link }, [{ type: "open", generation, refreshToken }]];
}

function hello(state: Connection, pingInterval: number | undefined, env: Environment): Step {
  if (state.link.kind !== "opening") return [state, []];
  const interval = Math.min(pingInterval ?? env.options.heartbeatInterval, env.options.heartbeatInterval);
  const link: Link = {
    kind: "open",
    pingAt: env.now + interval,
    pongBy: NEVER,
    stableAt: env.now + STABLE_AFTER,
    graced: false,
  };
  return [
    {
      ...state,
      status: "connected",
      link,
      pingInterval: interval,
      retryAfter: null,
      lastClose: null,
      freshUntil: env.now,
    },
    [],
  ];
}

/** Any frame proves that the other side is there. */
function heard(state: Connection, env: Environment): Step {
  if (state.link.kind !== "open") return [state, []];
  const link: Link = {
    ...state.link,
    pingAt: env.now + state.pingInterval,
    pongBy: NEVER,
    graced: false,
  };
  return [{ ...state, status: "connected", link, freshUntil: env.now }, []];
}

function tick(state: Connection, env: Environment): Step {
  const { link } = state;
  switch (link.kind) {
    case "closed":
      return [state, []];
    case "waiting":
      return env.now >= link.at ? open(state, env) : [state, []];
    case "opening":
      return env.now >= link.deadline ? giveUp(state, env, "no answer in time") : [state, []];
    case "open":
      return tickOpen(state, link, env);
  }
}

function tickOpen(state: Connection, link: Link & { kind: "open" }, env: Environment): Step {
  if (env.now >= link.pongBy) {
    // Timers of a hidden tab run once a minute: verified when it is seen again, not killed here.
    if (!state.visible) return [{ ...state, link: { ...link, pongBy: NEVER, pingAt: NEVER } }, []];
    if (env.now - link.pongBy > LATE && !link.graced) {
      return [{ ...state, link: { ...link, pongBy: env.now + GRACE, graced: true } }, []];
    }
    return giveUp(state, env, "heartbeat lost");
  }
  if (env.now >= link.pingAt) {
    const pinged: Link = { ...link, pingAt: NEVER, pongBy: env.now + env.options.heartbeatTimeout };
    return [{ ...state, link: pinged }, [{ type: "ping" }]];
  }
  if (env.now >= link.stableAt) {
    return [{ ...state, failures: 0, tokenRefreshed: false, link: { ...link, stableAt: NEVER } }, []];
  }
  return [state, []];
}

/** The socket says nothing any more. It may never fire `close`, so it is let go and the next attempt is planned. */
function giveUp(state: Connection, env: Environment, reason: string): Step {
  const [lost, effects] = closed({ ...state, generation: state.generation + 1 }, { code: 4000, reason }, env);
  return [lost, [{ type: "close", code: 4000, reason }, ...effects]];
}

export function isTerminal(code: number): boolean {
  const protocol = code === 1002 || code === 1003 || (code >= 1007 && code <= 1010);
  return protocol || (code >= 4500 && code <= 4999);
}

/** The least wait in ms that a close code asks for. */
export function floorOf(code: number): number {
  switch (code) {
    case 1013:
      return 5_000;
    case 4013:
      return 10_000;
    case 4029:
      return 15_000;
    default:
      return 0;
  }
}

function closed(state: Connection, close: { code: number; reason: string }, env: Environment): Step {
  if (state.link.kind === "closed" || state.link.kind === "waiting") return [state, []];
  const { code, reason } = close;
  const lost: Connection = { ...state, lastClose: { code, reason } };
  if (code === 4501 && env.options.canRefreshToken && !state.tokenRefreshed) {
    return open({ ...lost, tokenRefreshed: true, status: after(lost) }, env, true);
  }
  if (isTerminal(code)) return [{ ...lost, status: "error", heals: false, link: { kind: "closed" } }, []];
  if (!env.options.autoReconnect) {
    return [{ ...lost, status: "disconnected", link: { kind: "closed" } }, []];
  }
  const effects: Effect[] = code === 4010 ? [{ type: "forget-position" }] : [];
  return [plan(lost, code, env), effects];
}

/** Decide when to try again, and whether this was one failure too many. */
function plan(state: Connection, code: number, env: Environment): Connection {
  const { options, now } = env;
  // A stable connection that ends is no failed attempt; nor is anything while the machine is offline or unseen.
  const wasStable = state.link.kind === "open" && state.link.stableAt === NEVER;
  const burns = !wasStable && state.online && state.visible;
  const failures = state.failures + (burns ? 1 : 0);
  const exhausted = state.status === "error" || failures >= options.maxReconnectAttempts;
  const status = exhausted ? "error" : after(state);
  const delay = exhausted ? options.healInterval * (0.8 + 0.4 * env.random()) : wait(state, failures, env);
  const asked =
    state.retryAfter === null ? 0 : state.retryAfter + env.random() * Math.min(1_000, state.retryAfter);
  const at = state.online ? now + Math.max(delay, floorOf(code), asked) : NEVER;
  return { ...state, failures, status, retryAfter: null, link: { kind: "waiting", at } };
}

/** Full jitter: anything up to the doubled interval, so that a thousand browsers do not come back together. */
function wait(state: Connection, failures: number, env: Environment): number {
  const { reconnectInterval, maxReconnectInterval } = env.options;
  if (!state.visible) return maxReconnectInterval;
  const ceiling = Math.min(maxReconnectInterval, reconnectInterval * 2 ** Math.max(0, failures - 1));
  return Math.max(MIN_DELAY, env.random() * ceiling);
}

function after(state: Connection): Status {
  if (state.status === "error") return "error";
  return state.freshUntil === null ? "connecting" : "reconnecting";
}

function offline(state: Connection): Step {
  const off: Connection = { ...state, online: false };
  switch (state.link.kind) {
    case "waiting":
      return [{ ...off, link: { kind: "waiting", at: NEVER } }, []];
    case "open":
      // The socket is stalled, not closed; it may go on when the network is back.
      return [{ ...off, status: "reconnecting" }, []];
    default:
      return [off, []];
  }
}

/** Online, visible or shown again: try at once, or ask whether the open socket still lives. */
function wake(state: Connection, env: Environment): Step {
  const { link } = state;
  if (link.kind === "waiting" && state.online) return open(state, env);
  if (link.kind !== "open") return [state, []];
  const by = env.now + PROBE_TIMEOUT;
  if (link.pongBy <= by) return [state, []];
  return [{ ...state, link: { ...link, pingAt: NEVER, pongBy: by } }, [{ type: "ping" }]];
}

/** The browser may freeze the page and keep it for "back"; a socket would keep it from doing so. */
function pagehide(state: Connection): Step {
  if (state.link.kind !== "open" && state.link.kind !== "opening") return [state, []];
  return [
    {
      ...state,
      status: after(state),
      generation: state.generation + 1,
      link: { kind: "waiting", at: NEVER },
    },
    [{ type: "close", code: 1000, reason: "page hidden" }],
  ];
}
