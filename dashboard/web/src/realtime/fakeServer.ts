/** A server for tests: speaks the protocol over sockets that are no sockets, under a clock and chance that are given. */

import type { BrowserEvent, SocketLike, World } from "./world";

export class FakeSocket implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onerror: SocketLike["onerror"] = null;
  onclose: SocketLike["onclose"] = null;
  closedWith: number | null = null;
  private lost = false;
  private sent: unknown[] = [];

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  get isLive(): boolean {
    return this.closedWith === null && !this.lost;
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  /** A browser fires no `close` event for a socket on a dead network; nor does this. */
  close(code = 1000): void {
    this.closedWith = code;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  lose(code: number): void {
    this.lost = true;
    this.onclose?.({ code, reason: "" });
  }

  /** What the page sent since this was asked last. */
  taken(): unknown[] {
    const sent = this.sent;
    this.sent = [];
    return sent;
  }
}

export class FakeServer {
  readonly sockets: FakeSocket[] = [];
  listeners = 0;
  /** What handlers of the user threw. */
  readonly reported: unknown[] = [];
  /** In [0, 1). */
  chance = 0.5;
  private heard: (name: BrowserEvent) => void = () => {};
  private slept = 0;

  world(): World {
    return {
      openSocket: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        return socket;
      },
      now: () => Date.now() + this.slept,
      random: () => this.chance,
      setTimer: (callback, delay) => setTimeout(callback, delay),
      clearTimer: (timer) => clearTimeout(timer as number),
      online: () => true,
      visible: () => true,
      listen: (heard) => {
        this.heard = heard;
        this.listeners += 1;
        return () => {
          this.listeners -= 1;
        };
      },
      report: (error) => this.reported.push(error),
    };
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  get live(): FakeSocket[] {
    return this.sockets.filter((socket) => socket.isLive);
  }

  tell(name: BrowserEvent): void {
    this.heard(name);
  }

  /** The clock goes on and no timer runs, as in a frozen page. */
  sleep(milliseconds: number): void {
    this.slept += milliseconds;
  }

  hello(fields: { recovered: boolean; epoch?: string }): void {
    const defaults = { v: 1, type: "hello", conn: "c", epoch: "e1", seq: 0, replayed: 0, ping_interval: 30 };
    this.last.say({ ...defaults, operator: { state: "Healthy" }, ...fields });
  }

  snapshot(gseq: number, epoch = "e1", parts: object = {}): void {
    this.last.say({ v: 1, type: "snapshot", task_id: null, gseq, epoch, data: [], ...parts });
  }

  status(gseq: number, epoch = "e1"): void {
    const data = { uid: "u1", status: {}, spec: {} };
    this.last.say({
      v: 1,
      type: "task.status",
      task_id: "u1",
      namespace: "n",
      name: "t",
      seq: gseq,
      gseq,
      epoch,
      data,
    });
  }

  subscribed(channel: string, recovered: boolean): void {
    this.last.say({ v: 1, type: "subscribed", channel, epoch: "e1", seq: 0, recovered, replayed: 0 });
  }
}
