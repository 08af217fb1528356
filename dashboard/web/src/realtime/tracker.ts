/**
 * Where this browser stands in each channel that it hears, so that a new connection goes on where the old one ended.
 * `positions.ts` judges one number; this knows which channel's number counts.
 */

import { isAllSnapshot, type ServerMessage } from "./messages";
import { accept, type Position, since, subscribed } from "./positions";

export const ALL_TASKS = "tasks";
export const taskChannel = (uid: string) => `task:${uid}`;

export type Numbered = Extract<ServerMessage, { type: "task.status" | "task.progress" | "task.deleted" }>;
type Snapshot = Extract<ServerMessage, { type: "snapshot" }>;

/** What a numbered frame is worth: `ask` names the channel of which a part is missing and was not yet asked for. */
export interface Judgement {
  isNews: boolean;
  ask: string | null;
}

/** Frames behind a hole wait: what fills it brings them again, in order. Without an answer they are heard after all. */
interface Hole {
  noticedAt: number;
  held: Numbered[];
}

/** ms after which nobody waits for a hole to be filled any more. */
const PATIENCE = 10_000;

export class Tracker {
  private readonly positions = new Map<string, Position>();
  /** Channels of which something was told once, so that losing the thread voids something. */
  private readonly told = new Set<string>();
  private readonly holes = new Map<string, Hole>();
  private filtered = false;

  /** `own` is the channel that the address names; `joined` are those beside it. */
  constructor(
    private readonly own: string,
    private readonly joined: ReadonlyMap<string, unknown>,
  ) {}

  /** What to ask for in a channel: all after the position, or, without one, a snapshot. */
  since(channel: string): { since?: number; epoch?: string } {
    return since(this.positions.get(channel) ?? null);
  }

  /** The channel was left. */
  forget(channel: string): void {
    this.positions.delete(channel);
    this.holes.delete(channel);
    this.told.delete(channel);
  }

  /** Where we stand is no use any more; the server will send snapshots. */
  forgetPositions(): void {
    this.positions.clear();
    this.holes.clear();
  }

  /** The server said what follows in our own channel; false when what was known is void. */
  welcomed(hello: Extract<ServerMessage, { type: "hello" }>): boolean {
    this.filtered = hello.filtered ?? false;
    this.holes.clear();
    return this.answered({ channel: this.own, epoch: hello.epoch, recovered: hello.recovered });
  }

  /** The answer to `subscribe`; false when what was known of the channel is void. */
  answered(answer: { channel: string; epoch: string; recovered: boolean }): boolean {
    const { channel } = answer;
    this.holes.delete(channel);
    this.put(channel, subscribed(this.positions.get(channel) ?? null, answer));
    const isFirst = !this.told.has(channel);
    this.told.add(channel);
    return answer.recovered || isFirst;
  }

  judge(frame: Numbered, now: number): Judgement {
    const task = taskChannel(frame.task_id);
    // In a channel of all tasks its number decides; the task's own is only kept up to date.
    if (!this.hears(ALL_TASKS)) return this.judged(task, frame, now);
    const judgement = this.judged(ALL_TASKS, frame, now);
    const had = this.positions.get(task);
    const moves = judgement.isNews && had?.epoch === frame.epoch && frame.seq > had.seq;
    if (moves) this.put(task, { ...had, seq: frame.seq });
    return judgement;
  }

  /** Give up the hole in a channel: its held frames are to be heard, and where we stand is unknown. */
  release(channel: string): Numbered[] {
    const held = this.holes.get(channel)?.held ?? [];
    if (held.length > 0) this.positions.delete(channel);
    this.holes.delete(channel);
    return held;
  }

  /** The frames of all holes that nobody filled in time. */
  overdue(now: number): Numbered[] {
    const late = [...this.holes].filter(([, hole]) => now - hole.noticedAt > PATIENCE);
    return late.flatMap(([channel]) => this.release(channel));
  }

  /** A snapshot says where its channel stands; of one in parts the last does. */
  stand(snapshot: Snapshot): void {
    const { epoch } = snapshot;
    this.holes.delete(isAllSnapshot(snapshot) ? ALL_TASKS : taskChannel(snapshot.task_id));
    if (isAllSnapshot(snapshot)) {
      const isLast = (snapshot.part ?? 1) >= (snapshot.parts ?? 1);
      if (isLast) this.put(ALL_TASKS, { epoch, seq: snapshot.gseq, repairing: false });
    } else if (this.hears(taskChannel(snapshot.task_id))) {
      this.put(taskChannel(snapshot.task_id), { epoch, seq: snapshot.seq, repairing: false });
    }
  }

  private hears(channel: string): boolean {
    return this.own === channel || this.joined.has(channel);
  }

  private judged(channel: string, frame: Numbered, now: number): Judgement {
    const isAll = channel === ALL_TASKS;
    const { epoch, coalesced } = frame;
    const numbered = { epoch, seq: isAll ? frame.gseq : frame.seq, coalesced };
    const had = this.positions.get(channel) ?? null;
    const [position, verdict] = accept(had, numbered, isAll && this.filtered);
    this.put(channel, position);
    if (verdict !== "gap") return { isNews: verdict === "apply", ask: null };
    const hole = this.holes.get(channel) ?? { noticedAt: now, held: [] };
    this.holes.set(channel, hole);
    hole.held.push(frame);
    return { isNews: false, ask: had?.repairing ? null : channel };
  }

  private put(channel: string, position: Position | null): void {
    if (position === null) this.positions.delete(channel);
    else this.positions.set(channel, position);
  }
}
