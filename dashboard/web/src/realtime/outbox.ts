/**
 * What waits to be sent: bounded, and no faster than the server takes it (it closes on more than 20 messages a
 * second). Pure but for its own list; time is an argument. Pings and pongs never come here: late ones are lies.
 */

export interface OutboxLimits {
  /** Messages of the user that are kept while there is no connection; the oldest goes first. */
  queueSize: number;
  /** ms after which a message that could not be sent is of no use any more. */
  queueTtl: number;
}

export const OUTBOX_DEFAULTS: OutboxLimits = { queueSize: 100, queueTtl: 30_000 };

/** At once, and then so many per second: half of what the server allows, so that pings fit beside it. */
const BURST = 20;
const PER_SECOND = 10;

interface Waiting {
  text: string;
  expires: number;
  /** Belongs to this very connection, such as a subscription: never dropped, and void when the connection ends. */
  bound: boolean;
}

export class Outbox {
  /** Messages that were dropped, for the bound or because they grew old. */
  dropped = 0;
  private waiting: Waiting[] = [];
  private tokens = BURST;
  private refilledAt = 0;

  constructor(private readonly limits: OutboxLimits = OUTBOX_DEFAULTS) {}

  get size(): number {
    return this.waiting.length;
  }

  /** Keep a message of the user until it can be sent. */
  offer(text: string, now: number): void {
    this.waiting.push({ text, expires: now + this.limits.queueTtl, bound: false });
    const kept = this.waiting.filter((each) => !each.bound);
    if (kept.length <= this.limits.queueSize) return;
    this.waiting.splice(this.waiting.indexOf(kept[0] as Waiting), 1);
    this.dropped += 1;
  }

  /** Queue a message that only the present connection needs; before those of the user, in order. */
  bind(text: string): void {
    const first = this.waiting.findIndex((each) => !each.bound);
    const at = first === -1 ? this.waiting.length : first;
    this.waiting.splice(at, 0, { text, expires: Number.POSITIVE_INFINITY, bound: true });
  }

  /** The connection ended: what was meant for it is void, and the next one starts with a full allowance. */
  unbind(): void {
    this.waiting = this.waiting.filter((each) => !each.bound);
    this.tokens = BURST;
  }

  /** Take what may be sent now. */
  take(now: number): string[] {
    const alive = this.waiting.filter((each) => each.expires > now);
    this.dropped += this.waiting.length - alive.length;
    this.tokens = Math.min(BURST, this.tokens + (Math.max(0, now - this.refilledAt) / 1_000) * PER_SECOND);
    this.refilledAt = now;
    const ready = alive.splice(0, Math.floor(this.tokens));
    this.tokens -= ready.length;
    this.waiting = alive;
    return ready.map((each) => each.text);
  }

  /** When to take again; null when nothing waits. */
  dueAt(now: number): number | null {
    if (this.waiting.length === 0) return null;
    return this.tokens >= 1 ? now : this.refilledAt + ((1 - this.tokens) / PER_SECOND) * 1_000;
  }

  clear(): void {
    this.waiting = [];
  }
}
