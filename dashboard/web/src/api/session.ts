/**
 * The bearer token of whoever is signed in: in memory and in this tab's `sessionStorage`, nowhere else. It travels in the
 * Authorization header and as a WebSocket subprotocol, never in an address.
 */

const STORED = "repack.token";
const listeners = new Set<() => void>();
let token: string | null = read();
/** Set while the server has said that the token ends soon; a new one goes to those who wait for it. */
let left = false;
let waiting: ((token: string | null) => void)[] = [];

function read(): string | null {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function tell(): void {
  for (const listener of listeners) listener();
}

export const session = {
  token: (): string | null => token,
  /** Whether somebody has signed out, and nobody in since. */
  hasLeft: (): boolean => left,
  isExpiring: (): boolean => waiting.length > 0,

  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** Sign in, or take a newer token; null signs out. */
  set(next: string | null): void {
    token = next;
    left = next === null;
    try {
      if (next === null) sessionStorage.removeItem(STORED);
      else sessionStorage.setItem(STORED, next);
    } catch {
      // Kept in memory only, then: a reload asks again.
    }
    const served = waiting;
    waiting = [];
    for (const serve of served) serve(next);
    tell();
  },

  /** A newer token, once somebody has given it: the living connection goes on with it. */
  renewed(): Promise<string | null> {
    const promise = new Promise<string | null>((resolve) => waiting.push(resolve));
    tell();
    return promise;
  },
};

/** The header that says who asks; none where nobody is asked. */
export function authorization(): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}
