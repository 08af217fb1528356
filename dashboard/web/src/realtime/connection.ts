/**
 * The connection as one value, and the only function that changes it. Pure: time and chance are arguments, and what
 * is to be done comes back as effects. `socket.ts` runs it; the indicator shows it.
 *
 * `status` is what people see; `link` is what the one socket does. A socket that a newer one replaced is told by its
 * generation, so a late event of it changes nothing.
 */

import { isTerminal, plan, statusWhileLost } from "./backoff";
import {
  type Connection,
  type Effect,
  type Environment,
  type Event,
  type Link,
  NEVER,
  type Step,
} from "./state";

const STABLE_AFTER = 5_000;
const PROBE_TIMEOUT = 4_000;
/** A timer so late was held back by the browser: the silence may be our own, so one more turn is given. */
const LATE = 1_000;
const GRACE = 2_000;
/** A ping so late, in a page that is seen: the machine slept. Whether the socket lived through it is asked at once. */
const SLEPT = 5_000;

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
  const pingAt = env.now + state.pingInterval;
  const alive: Connection = {
    ...state,
    status: "connected",
    link: { ...state.link, pingAt, pongBy: NEVER, graced: false },
    freshUntil: env.now,
  };
  // The first answered heartbeat shows a connection that works both ways, however soon it comes.
  return [state.link.pongBy === NEVER ? alive : settled(alive), []];
}

function tick(state: Connection, env: Environment): Step {
  const { link } = state;
  switch (link.kind) {
    case "closed":
      return [state, []];
    case "waiting":
      return env.now >= link.at ? open(state, env) : [state, []];
    case "opening":
      if (env.now < link.deadline) return [state, []];
      if (env.now - link.deadline > LATE) {
        // We slept: the answer may be here already, and only wait for its turn.
        return [{ ...state, link: { kind: "opening", deadline: env.now + GRACE } }, []];
      }
      return giveUp(state, env, "no answer in time");
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
    const { heartbeatTimeout } = env.options;
    const slept = state.visible && env.now - link.pingAt > SLEPT;
    const pongBy = env.now + (slept ? Math.min(PROBE_TIMEOUT, heartbeatTimeout) : heartbeatTimeout);
    return [{ ...state, link: { ...link, pingAt: NEVER, pongBy } }, [{ type: "ping" }]];
  }
  if (env.now >= link.stableAt) {
    return [settled(state), []];
  }
  return [state, []];
}

/** The failures before this connection are forgotten. */
function settled(state: Connection): Connection {
  if (state.link.kind !== "open") return state;
  return { ...state, failures: 0, tokenRefreshed: false, link: { ...state.link, stableAt: NEVER } };
}

/** The socket says nothing any more. It may never fire `close`, so it is let go and the next attempt is planned. */
function giveUp(state: Connection, env: Environment, reason: string): Step {
  const [lost, effects] = closed({ ...state, generation: state.generation + 1 }, { code: 4000, reason }, env);
  return [lost, [{ type: "close", code: 4000, reason }, ...effects]];
}

function closed(state: Connection, close: { code: number; reason: string }, env: Environment): Step {
  if (state.link.kind === "closed" || state.link.kind === "waiting") return [state, []];
  const { code, reason } = close;
  const lost: Connection = { ...state, lastClose: { code, reason } };
  if (code === 4501 && env.options.canRefreshToken && !state.tokenRefreshed) {
    return open({ ...lost, tokenRefreshed: true, status: statusWhileLost(lost) }, env, true);
  }
  if (isTerminal(code)) return [{ ...lost, status: "error", heals: false, link: { kind: "closed" } }, []];
  if (!env.options.autoReconnect) {
    return [{ ...lost, status: "disconnected", link: { kind: "closed" } }, []];
  }
  const effects: Effect[] = code === 4010 ? [{ type: "forget-position" }] : [];
  return [plan(lost, code, env), effects];
}

function offline(state: Connection): Step {
  const off: Connection = { ...state, online: false };
  switch (state.link.kind) {
    case "waiting":
      return [{ ...off, link: { ...state.link, at: NEVER } }, []];
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
  if (link.kind === "waiting" && state.online) {
    if (env.now >= link.notBefore) return open(state, env);
    return [{ ...state, link: { ...link, at: Math.min(link.at, link.notBefore) } }, []];
  }
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
      status: statusWhileLost(state),
      generation: state.generation + 1,
      link: { kind: "waiting", at: NEVER, notBefore: 0 },
    },
    [{ type: "close", code: 1000, reason: "page hidden" }],
  ];
}
