/**
 * A WebSocket that comes back. It runs the pure reducer of `connection.ts`: it owns the one socket and the one timer,
 * and decides nothing. The positions in its channels live here, so that each attempt goes on where the last one ended.
 */

import { Alarm } from "./alarm";
import { next } from "./connection";
import { type ClientMessage, parseMessage, type ServerMessage } from "./messages";
import {
  type Handlers,
  MAX_MESSAGE_SIZE,
  machineOptions,
  outboxLimits,
  type SocketOptions,
  subprotocols,
} from "./options";
import { Outbox } from "./outbox";
import {
  type Connection,
  type Effect,
  type Event,
  initial,
  looksDifferent,
  type Options,
  wakeAt,
} from "./state";
import { ALL_TASKS, type Numbered, Tracker, taskChannel } from "./tracker";
import { browserWorld, ownHost, type SocketLike, type World } from "./world";

export class ReconnectingWebSocket {
  /** Frames that were no message of a known type: no JSON, too long, or of a newer server. */
  ignored = 0;

  private readonly world: World;
  private readonly options: Options;
  private readonly alarm: Alarm;
  private readonly outbox: Outbox;
  private readonly tracker: Tracker;
  private readonly ownChannel: string;
  /** Channels beside our own, with the number of their users. */
  private readonly channels = new Map<string, number>();
  private readonly stopListening: () => void;
  private connection: Connection;
  private socket: SocketLike | null = null;
  private readonly events: Event[] = [];
  private isRunning = false;
  private isDisposed = false;
  private isRenewing = false;
  private messageId = 0;
  /** Ids of what was asked to fill holes, with their channels. */
  private readonly asked = new Map<number, string>();

  /** `taskId` is a task's uid; null is all tasks. */
  constructor(
    private readonly taskId: string | null,
    private readonly handlers: Handlers = {},
    private readonly settings: SocketOptions = {},
  ) {
    this.world = { ...browserWorld(), ...settings.world };
    this.options = machineOptions(settings);
    this.alarm = new Alarm(this.world, () => {
      this.dispatch({ type: "tick" });
      this.flush();
    });
    this.outbox = new Outbox(outboxLimits(settings));
    this.ownChannel = taskId === null ? ALL_TASKS : taskChannel(taskId);
    this.tracker = new Tracker(this.ownChannel, this.channels);
    this.connection = initial(this.options, { online: this.world.online(), visible: this.world.visible() });
    this.stopListening = this.world.listen((name) => this.dispatch({ type: name }));
  }

  get state(): Connection {
    return this.connection;
  }

  /** Messages that `send` took and that were never sent, for the queue's bound or its time. */
  get dropped(): number {
    return this.outbox.dropped;
  }

  connect(): void {
    this.dispatch({ type: "connect" });
  }

  /** Try now, whatever the state; nothing when there is a connection. */
  retry(): void {
    this.dispatch({ type: "retry" });
  }

  /** Close the socket; `connect` or `retry` opens one again. */
  disconnect(): void {
    this.dispatch({ type: "disconnect" });
  }

  /** Close the socket for good and remove every timer and listener. No handler is called any more. */
  dispose(): void {
    if (this.isDisposed) return;
    this.dispatch({ type: "disconnect" });
    this.isDisposed = true;
    this.stopListening();
    this.outbox.clear();
    this.letGo(1000, "left");
    this.armTimer();
  }

  /** Send a message, or keep it until the server says hello. */
  send(message: object): void {
    if (this.isDisposed) return;
    this.outbox.offer(JSON.stringify(message), this.world.now());
    this.flush();
  }

  /** Join another channel on the same socket until the returned function was called as often as this one. */
  subscribe(channel: string): () => void {
    const users = this.channels.get(channel) ?? 0;
    this.channels.set(channel, users + 1);
    if (users === 0 && channel !== this.ownChannel && this.isOpen) this.askFor(channel);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.leave(channel);
    };
  }

  private leave(channel: string): void {
    const users = (this.channels.get(channel) ?? 1) - 1;
    if (users > 0) {
      this.channels.set(channel, users);
      return;
    }
    this.channels.delete(channel);
    if (channel === this.ownChannel) return;
    this.tracker.forget(channel);
    if (this.isOpen) this.bind({ type: "unsubscribe", id: this.nextId(), channel });
  }

  private get isOpen(): boolean {
    return this.connection.link.kind === "open";
  }

  /** Run an event through the reducer; one that comes up meanwhile has its turn after it. */
  private dispatch(event: Event): void {
    if (this.isDisposed) return;
    this.events.push(event);
    if (this.isRunning) return;
    this.isRunning = true;
    for (let each = this.events.shift(); each !== undefined; each = this.events.shift()) this.advance(each);
    this.isRunning = false;
  }

  private advance(event: Event): void {
    const before = this.connection;
    const environment = { now: this.world.now(), random: this.world.random, options: this.options };
    const [after, effects] = next(before, event, environment);
    this.connection = after;
    for (const effect of effects) this.perform(effect);
    this.armTimer();
    if (looksDifferent(before, after)) this.tell(() => this.handlers.onStateChange?.(after, before.status));
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
        this.put({ type: "ping", id: this.nextId() });
        return;
      case "forget-position":
        this.tracker.forgetPositions();
        return;
    }
  }

  /** A handler of the user may throw; that is its own affair. */
  private tell(handler: () => void): void {
    if (this.isDisposed) return;
    try {
      handler();
    } catch (error) {
      this.world.report(error);
    }
  }

  private armTimer(): void {
    this.alarm.set(this.isDisposed ? null : this.dueAt());
  }

  private dueAt(): number | null {
    const outbox = this.isOpen ? this.outbox.dueAt(this.world.now()) : null;
    const connection = wakeAt(this.connection);
    if (outbox === null || connection === null) return outbox ?? connection;
    return Math.min(outbox, connection);
  }

  private async open(generation: number, refreshToken: boolean): Promise<void> {
    this.letGo(1000, "replaced");
    try {
      const { base } = this.settings;
      const host = typeof base === "function" ? await base() : (base ?? ownHost());
      const offered = await subprotocols(this.settings, refreshToken);
      // The world may have moved on while a token was fetched.
      if (generation !== this.connection.generation) return;
      this.adopt(this.world.openSocket(this.address(host), offered), generation);
    } catch (error) {
      if (generation !== this.connection.generation) return;
      this.tell(() => this.handlers.onError?.(error));
      this.dispatch({ type: "closed", generation, code: 1006, reason: "the socket could not be opened" });
    }
  }

  private address(host: string): string {
    const path = this.taskId === null ? "/ws/tasks" : `/ws/tasks/${encodeURIComponent(this.taskId)}`;
    const query = new URLSearchParams({ v: "1" });
    const { since, epoch } = this.tracker.since(this.ownChannel);
    if (since !== undefined && epoch !== undefined) {
      query.set("since", String(since));
      query.set("epoch", epoch);
    }
    return `${host}${path}?${query}`;
  }

  private adopt(socket: SocketLike, generation: number): void {
    this.socket = socket;
    this.outbox.unbind();
    socket.onmessage = (event) => this.receive(event.data, generation);
    socket.onerror = (event) => this.tell(() => this.handlers.onError?.(event));
    socket.onclose = ({ code, reason }) => {
      if (this.socket === socket) this.socket = null;
      this.dispatch({ type: "closed", generation, code, reason });
      this.tell(() => this.handlers.onClose?.({ code, reason }));
    };
  }

  /** A dead network fires no `close` for a long time: nothing more is wanted of this socket. */
  private letGo(code: number, reason: string): void {
    const socket = this.socket;
    if (socket === null) return;
    this.socket = null;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    try {
      socket.close(code, reason);
    } catch {
      // Closing twice is no fault.
    }
    this.tell(() => this.handlers.onClose?.({ code, reason }));
  }

  private receive(data: unknown, generation: number): void {
    const message = parseMessage(data, this.settings.maxMessageSize ?? MAX_MESSAGE_SIZE);
    if (message?.type === "hello") this.welcome(message, generation);
    else this.dispatch({ type: "frame", generation });
    if (message === null) {
      this.ignored += 1;
      return;
    }
    this.answer(message, generation);
    for (const held of this.tracker.overdue(this.world.now())) this.hand(held);
    if (this.isNews(message)) this.hand(message);
    if (message.type === "hello") this.tell(() => this.handlers.onOpen?.());
  }

  private hand(message: ServerMessage): void {
    this.tell(() => this.handlers.onMessage?.(message));
  }

  private welcome(hello: ServerMessage & { type: "hello" }, generation: number): void {
    this.asked.clear();
    if (!this.tracker.welcomed(hello)) this.tell(() => this.handlers.onResync?.(this.ownChannel));
    const pingInterval = hello.ping_interval * 1_000;
    this.dispatch({ type: "hello", generation, ...(pingInterval > 0 ? { pingInterval } : {}) });
    for (const channel of this.channels.keys()) if (channel !== this.ownChannel) this.askFor(channel);
    this.flush();
  }

  private answer(message: ServerMessage, generation: number): void {
    if (message.type === "ping")
      this.put({ type: "pong", ...(message.id == null ? {} : { id: message.id }) });
    if (message.type === "goaway")
      this.dispatch({ type: "goaway", generation, retryAfter: message.retry_after_ms });
    if (message.type === "error" && message.code === "token_expiring") void this.renewToken(generation);
  }

  /** The token ends soon: the server takes a new one on the living connection. */
  private async renewToken(generation: number): Promise<void> {
    const { getToken } = this.settings;
    if (getToken === undefined || this.isRenewing) return;
    this.isRenewing = true;
    try {
      const token = await getToken(true);
      if (token && generation === this.connection.generation) this.put({ type: "auth", token });
    } catch (error) {
      this.tell(() => this.handlers.onError?.(error));
    } finally {
      this.isRenewing = false;
    }
  }

  /** Keep the positions; tell whether the message says anything that was not heard before. */
  private isNews(message: ServerMessage): boolean {
    switch (message.type) {
      case "task.status":
      case "task.progress":
      case "task.deleted":
        return this.isNewEvent(message);
      case "snapshot":
        this.tracker.stand(message);
        return true;
      case "error":
        this.refused(message.id ?? 0);
        return true;
      case "subscribed":
        this.asked.delete(message.id ?? 0);
        if (!this.tracker.answered(message)) this.tell(() => this.handlers.onResync?.(message.channel));
        return true;
      default:
        return true;
    }
  }

  private isNewEvent(message: Numbered): boolean {
    const { isNews, ask } = this.tracker.judge(message, this.world.now());
    if (ask !== null) this.asked.set(this.askFor(ask), ask);
    return isNews;
  }

  /** Nobody will fill the hole, as when its task was deleted: what came after it is heard after all. */
  private refused(id: number): void {
    const channel = this.asked.get(id);
    if (channel === undefined) return;
    this.asked.delete(id);
    for (const held of this.tracker.release(channel)) this.hand(held);
  }

  private askFor(channel: string): number {
    const id = this.nextId();
    this.bind({ type: "subscribe", id, channel, ...this.tracker.since(channel) });
    return id;
  }

  /** Send in turn, on this connection or not at all: the next one is asked anew. */
  private bind(message: ClientMessage): void {
    this.outbox.bind(JSON.stringify(message));
    this.flush();
  }

  private flush(): void {
    if (!this.isOpen || this.isDisposed) return;
    for (const text of this.outbox.take(this.world.now())) this.write(text);
    this.armTimer();
  }

  /** Send now or never: a late ping would measure nothing. */
  private put(message: ClientMessage): void {
    this.write(JSON.stringify(message));
  }

  private write(text: string): void {
    try {
      this.socket?.send(text);
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
  handlers: Handlers = {},
  options: SocketOptions = {},
): ReconnectingWebSocket {
  const socket = new ReconnectingWebSocket(taskId, handlers, options);
  socket.connect();
  return socket;
}
