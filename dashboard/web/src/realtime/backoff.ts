/** What a lost connection means: which codes end it, and how long to wait before the next attempt. Pure. */

import { type Connection, type ConnectionStatus, type Environment, NEVER } from "./state";

const MIN_DELAY = 250;

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

/** Decide when to try again, and whether this was one failure too many. */
export function plan(state: Connection, code: number, env: Environment): Connection {
  const { options, now } = env;
  // A stable connection that ends is no failed attempt; nor is anything while the machine is offline or unseen.
  const wasStable = state.link.kind === "open" && state.link.stableAt === NEVER;
  const burns = !wasStable && state.online && state.visible;
  const failures = state.failures + (burns ? 1 : 0);
  const exhausted = state.status === "error" || failures >= options.maxReconnectAttempts;
  const status = exhausted ? "error" : statusWhileLost(state);
  const delay = exhausted ? options.healInterval * (0.8 + 0.4 * env.random()) : wait(state, failures, env);
  const asked =
    state.retryAfter === null ? 0 : state.retryAfter + env.random() * Math.min(1_000, state.retryAfter);
  const floor = floorOf(code);
  const notBefore = now + Math.max(floor, asked);
  // The wait comes on top of a floor: at the floor itself everybody would come back together.
  const at = state.online ? now + Math.max(floor + delay, asked) : NEVER;
  return { ...state, failures, status, retryAfter: null, link: { kind: "waiting", at, notBefore } };
}

/** Full jitter: anything up to the doubled interval, so that a thousand browsers do not come back together. */
function wait(state: Connection, failures: number, env: Environment): number {
  const { reconnectInterval, maxReconnectInterval } = env.options;
  if (!state.visible) return maxReconnectInterval * (1 - 0.5 * env.random());
  const ceiling = Math.min(maxReconnectInterval, reconnectInterval * 2 ** Math.max(0, failures - 1));
  return Math.max(MIN_DELAY, env.random() * ceiling);
}

/** What people see while there is no connection. */
export function statusWhileLost(state: Connection): ConnectionStatus {
  if (state.status === "error") return "error";
  return state.freshUntil === null ? "connecting" : "reconnecting";
}
