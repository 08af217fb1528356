/** What a user of the socket may give, and what it becomes. */

import type { ServerMessage } from "./messages";
import { OUTBOX_DEFAULTS, type OutboxLimits } from "./outbox";
import { type Connection, type ConnectionStatus, DEFAULTS, type Options } from "./state";
import type { World } from "./world";

export interface Handlers {
  /** The server said hello: messages flow, and what was queued is being sent. */
  onOpen?: () => void;
  /** Every message that is not a repetition. */
  onMessage?: (message: ServerMessage) => void;
  onError?: (event: unknown) => void;
  /** Once for each socket that ends, whoever ended it; 4000 is our own verdict on a dead connection. */
  onClose?: (close: { code: number; reason: string }) => void;
  /** Something that people can see of the connection changed. */
  onStateChange?: (connection: Connection, previous: ConnectionStatus) => void;
  /** The server could not tell what was missed in a channel: drop what you know of it, a snapshot follows. */
  onResync?: (channel: string) => void;
}

export interface SocketOptions extends Partial<Options>, Partial<OutboxLimits> {
  /** Host part of the address, such as `wss://host`; may be made anew for each attempt. Without it the page's own. */
  base?: string | (() => string | Promise<string>);
  /**
   * The bearer token, asked for before each attempt, with `true` when the server refused the last one or says that it
   * ends soon. It travels as a subprotocol, never in the address.
   */
  getToken?: (refresh: boolean) => string | null | Promise<string | null>;
  /** Longest message that is read, in characters; 1 MiB when not given. A longer one is counted in `ignored`. */
  maxMessageSize?: number;
  /** All subprotocols by yourself, in place of `getToken`. */
  protocols?: (refresh: boolean) => string[] | Promise<string[]>;
  /** Stand-ins for parts of the outside world. */
  world?: Partial<World>;
}

export const MAX_MESSAGE_SIZE = 1_048_576;
export const SUBPROTOCOL = "taskws.v1";
const BEARER = "base64url.bearer.taskws.";

/** The options of the state machine, with the defaults for what is not given. */
export function machineOptions(given: SocketOptions): Options {
  const canRefreshToken = given.getToken !== undefined || given.protocols !== undefined;
  return withDefaults({ ...DEFAULTS, canRefreshToken }, given);
}

export function outboxLimits(given: SocketOptions): OutboxLimits {
  return withDefaults(OUTBOX_DEFAULTS, given);
}

/** What to offer in the handshake; the server answers with the first alone, so that no token is sent back. */
export async function subprotocols(given: SocketOptions, refresh: boolean): Promise<string[]> {
  if (given.protocols !== undefined) return given.protocols(refresh);
  const token = await given.getToken?.(refresh);
  return token ? [SUBPROTOCOL, BEARER + base64url(token)] : [SUBPROTOCOL];
}

function base64url(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** `undefined` is the same as not given, as everywhere in JavaScript. */
function withDefaults<T extends object>(defaults: T, given: object): T {
  const known = Object.entries(given).filter(([name, value]) => name in defaults && value !== undefined);
  return { ...defaults, ...Object.fromEntries(known) };
}
