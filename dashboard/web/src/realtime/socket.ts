/**
 * A WebSocket that comes back. It runs the pure reducer of `connection.ts`: it owns the one socket and the one timer,
 * and decides nothing. Both channels' positions live here, so that each attempt resumes where the last one ended.
 */

import {
  type Connection,
  DEFAULTS,
  type Effect,
  type Event,
  initial,
  next,
  type Options,
  type Status,
  wakeAt,
} from "./connection";
import { type ClientMessage, isAllSnapshot, parseMessage, type ServerMessage } from "./messages";
import { accept, type Position, since, subscribed } from "./positions";

export const ALL_TASKS = "tasks";
export const taskChannel = (uid: string) => `task:${uid}`;

/** The part of the browser's WebSocket that is used. */
export interface SocketLike {
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** Everything outside that is touched, so that tests can stand in for it. */
export interface World {
  openSocket: (url: string, protocols: string[]) => SocketLike;
  now: () => number;
  random: () => number;
  setTimer: (callback: () => void, delay: number) => unknown;
  clearTimer: (timer: unknown) => void;
  online: () => boolean;
  visible: () => boolean;
  /** Listens to the named events of window and document; returns how to stop. */
  listen: (heard: (name: BrowserEvent) => void) => () => void;
}

export type BrowserEvent = "online" | "offline" | "visible" | "hidden" | "pageshow" | "pagehide";

export interface Handlers {
  onOpen?: () => void;
  onMessage?: (message: ServerMessage) => void;
  onError?: (event: unknown) => void;
  onClose?: (close: { code: number; reason: string }) => void;
  onStateChange?: (connection: Connection, previous: Status) => void;
}

export interface SocketOptions extends Partial<Options> {
  /** Host part of the address, such as `wss://host`; may be async (a fresh one for each attempt). */
  base?: string | (() => string | Promise<string>);
  /** Subprotocols; a token travels as one of them. Asked before each attempt. */
  protocols?: (refresh: boolean) => string[] | Promise<string[]>;
  world?: World;
}

export const SUBPROTOCOL = "taskws.v1";

export class ReconnectingWebSocket {
  /** Frames that were no message of a known type; an older page talking to a newer server. */
  ignored = 0;

  private readonly world: World;
  private readonly options: Options;
  private connection: Connection;
  private socket: SocketLike | null = null;
  private timer: unknown = null;
  private position: Position | null = null;
  private filtered = false;
  private readonly channels = new Map<string, number>();
  private messageId = 0;
  private readonly stopListening: () => void;

  /** `taskId` is a task's uid; null is all tasks. */
  constructor(
    private readonly taskId: string | null,
    private readonly handlers: Handlers,
    private readonly settings: SocketOptions = {},
  ) {
    this.world = settings.world ?? browserWorld();
    this.options = { ...DEFAULTS, ...defined(settings) };
    this.connection = initial(this.options, { online: this.world.online(), visible: this.world.visible() });
    this.stopListening = this.world.listen((name) => this.dispatch({ type: name }));
  }

  get state(): Connection {
    return this.connection;
  }

  connect(): void {
    this.dispatch({ type: "connect" });
  }

  retry(): void {
    this.dispatch({ type: "retry" });
  }

  disconnect(): void {
    this.dispatch({ type: "disconnect" });
  }

  /** Join another channel on the same socket until the returned function was called as often as this one. */
  subscribe(channel: string): () => void {
    const users = this.channels.get(channel) ?? 0;
    this.channels.set(channel, users + 1);
    if (users === 0 && this.connection.link.kind === "open") this.sendSubscribe(channel);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.leave(channel);
    };
  }

  /** Close the socket and remove every timer and listener. */
  dispose(): void {
    this.dispatch({ type: "disconnect" });
    this.stopListening();
    this.letGo(1000, "left");
  }

  private leave(channel: string): void {
    const users = (this.channels.get(channel) ?? 1) - 1;
    if (users > 0) {
      this.channels.set(channel, users);
      return;
    }
    this.channels.delete(channel);
    if (this.connection.link.kind === "open") this.send({ type: "unsubscribe", id: this.nextId(), channel });
  }

  private dispatch(event: Event): void {
    const before = this.connection;
    const environment = { now: this.world.now(), random: this.world.random, options: this.options };
    const [after, effects] = next(before, event, environment);
    this.connection = after;
    for (const effect of effects) this.perform(effect);
    this.armTimer();
    if (after !== before) this.handlers.onStateChange?.(after, before.status);
  }

  private perform(effect: Effect): void {
    switch (effect.type) {
      case "open":
        void this.open(effect.generation, effect.refreshToken);
        return;
      case "close":
        this.letGo(effect.code, effect.reason);
        return;
      case "ping":
        this.send({ type: "ping", id: this.nextId() });
        return;
      case "forget-position":
        this.position = null;
        return;
    }
  }

  private armTimer(): void {
    if (this.timer !== null) this.world.clearTimer(this.timer);
    this.timer = null;
    const at = wakeAt(this.connection);
    if (at === null) return;
    const delay = Math.max(0, at - this.world.now());
    this.timer = this.world.setTimer(() => {
      this.timer = null;
      this.dispatch({ type: "tick" });
    }, delay);
  }

  private async open(generation: number, refreshToken: boolean): Promise<void> {
    this.letGo(1000, "replaced");
    try {
      const { base, protocols } = this.settings;
      const host = typeof base === "function" ? await base() : (base ?? defaultBase());
      const offered = protocols ? await protocols(refreshToken) : [SUBPROTOCOL];
      // The world may have moved on while a token was fetched.
      if (generation !== this.connection.generation) return;
      this.adopt(this.world.openSocket(this.address(host), offered), generation);
    } catch (error) {
      this.handlers.onError?.(error);
      this.dispatch({ type: "closed", generation, code: 1006, reason: String(error) });
    }
  }

  private address(host: string): string {
    const path = this.taskId === null ? "/ws/tasks" : `/ws/tasks/${this.taskId}`;
    const query = new URLSearchParams({ v: "1" });
    if (this.position !== null) {
      query.set("since", String(this.position.seq));
      query.set("epoch", this.position.epoch);
    }
    return `${host}${path}?${query}`;
  }

  private adopt(socket: SocketLike, generation: number): void {
    this.socket = socket;
    socket.onmessage = (event) => this.receive(event.data, generation);
    socket.onerror = (event) => this.handlers.onError?.(event);
    socket.onclose = (event) => {
      if (this.socket === socket) this.socket = null;
      this.dispatch({ type: "closed", generation, code: event.code, reason: event.reason });
      if (generation === this.connection.generation || this.connection.lastClose !== null)
        this.handlers.onClose?.({ code: event.code, reason: event.reason });
    };
  }

  private letGo(code: number, reason: string): void {
    const socket = this.socket;
    if (socket === null) return;
    this.socket = null;
    // A dead network fires no `close` for a long time: nothing more is wanted of this socket.
    socket.onopen = null;
    socket.onmessage = null;
    socket.onerror = null;
    socket.onclose = null;
    try {
      socket.close(code, reason);
    } catch {
      // Closing twice is no fault.
    }
  }

  private receive(data: unknown, generation: number): void {
    if (generation !== this.connection.generation) return;
    const message = parseMessage(data);
    if (message === null) {
      this.ignored += 1;
      this.dispatch({ type: "frame", generation });
      return;
    }
    if (message.type === "hello") {
      this.welcome(message, generation);
    } else {
      this.dispatch({ type: "frame", generation });
    }
    if (message.type === "ping")
      this.send({ type: "pong", ...(message.id == null ? {} : { id: message.id }) });
    if (message.type === "goaway")
      this.dispatch({ type: "goaway", generation, retryAfter: message.retry_after_ms });
    if (this.isNews(message)) this.handlers.onMessage?.(message);
  }

  private welcome(hello: ServerMessage & { type: "hello" }, generation: number): void {
    this.filtered = hello.filtered ?? false;
    if (!hello.recovered) this.position = null;
    else if (this.position) this.position = { ...this.position, repairing: false };
    this.dispatch({
      type: "hello",
      generation,
      ...(hello.ping_interval === undefined ? {} : { pingInterval: hello.ping_interval * 1000 }),
    });
    for (const channel of this.channels.keys()) this.sendSubscribe(channel);
    this.handlers.onOpen?.();
  }

  /** Keep the position; tell whether the message says anything that was not heard before. */
  private isNews(message: ServerMessage): boolean {
    switch (message.type) {
      case "task.status":
      case "task.progress":
      case "task.deleted": {
        const seq = this.taskId === null ? message.gseq : message.seq;
        const numbered = { epoch: message.epoch, seq, coalesced: message.coalesced };
        const asked = this.position?.repairing ?? false;
        const [position, verdict] = accept(this.position, numbered, this.filtered);
        this.position = position;
        if (verdict === "gap" && !asked) this.sendSubscribe(this.ownChannel(), since(position));
        return verdict !== "drop";
      }
      case "snapshot":
        this.standAt(message);
        return true;
      case "subscribed":
        if (message.channel === this.ownChannel()) this.position = subscribed(this.position, message);
        return true;
      default:
        return true;
    }
  }

  private standAt(message: ServerMessage & { type: "snapshot" }): void {
    if (this.taskId !== null) {
      if (!isAllSnapshot(message))
        this.position = { epoch: message.epoch, seq: message.seq, repairing: false };
      return;
    }
    if (!isAllSnapshot(message)) return;
    const isLast = (message.part ?? 1) >= (message.parts ?? 1);
    if (isLast) this.position = { epoch: message.epoch, seq: message.gseq, repairing: false };
  }

  private ownChannel(): string {
    return this.taskId === null ? ALL_TASKS : taskChannel(this.taskId);
  }

  private sendSubscribe(channel: string, from: { since?: number; epoch?: string } = {}): void {
    this.send({ type: "subscribe", id: this.nextId(), channel, ...from });
  }

  private send(message: ClientMessage): void {
    try {
      this.socket?.send(JSON.stringify(message));
    } catch {
      // A socket that is closing takes nothing; its `close` event follows.
    }
  }

  private nextId(): number {
    this.messageId += 1;
    return this.messageId;
  }
}

/** Make a socket for one task (its uid) or for all (null) and connect it. */
export function createReconnectingWebSocket(
  taskId: string | null,
  handlers: Handlers,
  options: SocketOptions = {},
): ReconnectingWebSocket {
  const socket = new ReconnectingWebSocket(taskId, handlers, options);
  socket.connect();
  return socket;
}

function defined(settings: SocketOptions): Partial<Options> {
  const { base: _base, protocols: _protocols, world: _world, ...options } = settings;
  return options;
}

function defaultBase(): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}`;
}

function browserWorld(): World {
  return {
    openSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as SocketLike,
    now: () => Date.now(),
    random: Math.random,
    setTimer: (callback, delay) => window.setTimeout(callback, delay),
    clearTimer: (timer) => window.clearTimeout(timer as number),
    online: () => navigator.onLine,
    visible: () => document.visibilityState === "visible",
    listen: listenToBrowser,
  };
}

function listenToBrowser(heard: (name: BrowserEvent) => void): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  for (const name of ["online", "offline", "pageshow"] as const) {
    window.addEventListener(name, () => heard(name), { signal });
  }
  window.addEventListener("pagehide", (event) => event.persisted && heard("pagehide"), { signal });
  document.addEventListener("visibilitychange", () => heard(visibility()), { signal });
  document.addEventListener("resume", () => heard("pageshow"), { signal });
  return () => stop.abort();
}

function visibility(): BrowserEvent {
  return document.visibilityState === "visible" ? "visible" : "hidden";
}
