/** Everything outside that the socket touches, so that tests, and other runtimes than a page, can stand in for it. */

/** The part of the browser's WebSocket that is used. */
export interface SocketLike {
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type BrowserEvent = "online" | "offline" | "visible" | "hidden" | "pageshow" | "pagehide";

export interface World {
  openSocket: (url: string, protocols: string[]) => SocketLike;
  /** Milliseconds of a clock that goes on while the machine sleeps. */
  now: () => number;
  /** In [0, 1). */
  random: () => number;
  setTimer: (callback: () => void, delay: number) => unknown;
  clearTimer: (timer: unknown) => void;
  online: () => boolean;
  visible: () => boolean;
  /** Listens to the named events of window and document; returns how to stop. */
  listen: (heard: (name: BrowserEvent) => void) => () => void;
  /** A handler of the user threw: tell the console, and go on. */
  report: (error: unknown) => void;
}

/** A page, or a worker: what a worker has no notion of (being seen) is taken as always so. */
export function browserWorld(): World {
  return {
    openSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as SocketLike,
    now: () => Date.now(),
    random: Math.random,
    setTimer: (callback, delay) => setTimeout(callback, delay),
    clearTimer: (timer) => clearTimeout(timer as number),
    online: () => globalThis.navigator?.onLine ?? true,
    visible: () => globalThis.document === undefined || visibility() === "visible",
    listen: listenToBrowser,
    report: (error) => {
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    },
  };
}

/** `wss://host` of the page that runs this. */
export function ownHost(): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}`;
}

function listenToBrowser(heard: (name: BrowserEvent) => void): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  for (const name of ["online", "offline", "pageshow"] as const) {
    globalThis.addEventListener?.(name, () => heard(name), { signal });
  }
  // Only a page that may come back needs this; one that is left for good loses its socket anyway.
  const hide = (event: Event) => (event as PageTransitionEvent).persisted && heard("pagehide");
  globalThis.addEventListener?.("pagehide", hide, { signal });
  globalThis.document?.addEventListener("visibilitychange", () => heard(visibility()), { signal });
  globalThis.document?.addEventListener("resume", () => heard("pageshow"), { signal });
  return () => stop.abort();
}

function visibility(): "visible" | "hidden" {
  return document.visibilityState === "visible" ? "visible" : "hidden";
}
