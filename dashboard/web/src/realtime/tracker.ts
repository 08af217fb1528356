/**
 * Where this browser stands in each channel that it hears, so that a new connection goes on where the old one ended.
 * `positions.ts` judges one number; this knows which channel's number counts.
 */

import { isAllSnapshot, type ServerMessage } from "./messages";
import { accept, type Position, since, subscribed, type Verdict } from "./positions";

export const ALL_TASKS = "tasks";
export const taskChannel = (uid: string) => `task:${uid}`;

export type Numbered = Extract<ServerMessage, { type: "task.status" | "task.progress" | "task.deleted" }>;
type Snapshot = Extract<ServerMessage, { type: "snapshot" }>;

/** What a numbered frame is worth: `ask` names the channel of which a part is missing and was not yet asked for. */
export interface Judgement {
  isNews: boolean;
  ask: string | null;
}

export class Tracker {
  private readonly positions = new Map<string, Position>();
  /** Channels of which something was told once, so that losing the thread voids something. */
  private readonly told = new Set<string>();
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
    this.told.delete(channel);
  }

  /** Where we stand is no use any more; the server will send snapshots. */
  forgetPositions(): void {
    this.positions.clear();
  }

  /** The server said what follows in our own channel; false when what was known is void. */
  welcomed(hello: Extract<ServerMessage, { type: "hello" }>): boolean {
    this.filtered = hello.filtered ?? false;
    return this.answered({ channel: this.own, epoch: hello.epoch, recovered: hello.recovered });
  }

  /** The answer to `subscribe`; false when what was known of the channel is void. */
  answered(answer: { channel: string; epoch: string; recovered: boolean }): boolean {
    const { channel } = answer;
    this.put(channel, subscribed(this.positions.get(channel) ?? null, answer));
    const isFirst = !this.told.has(channel);
    this.told.add(channel);
    return answer.recovered || isFirst;
  }

  judge(frame: Numbered): Judgement {
    const task = taskChannel(frame.task_id);
    const { epoch, coalesced } = frame;
    if (!this.hears(ALL_TASKS)) return this.judged(task, { epoch, seq: frame.seq, coalesced }, false);
    // In a channel of all tasks its number decides; the task's own is only kept up to date.
    const judgement = this.judged(ALL_TASKS, { epoch, seq: frame.gseq, coalesced }, this.filtered);
    const had = this.positions.get(task);
    if (had?.epoch === epoch && frame.seq > had.seq) this.put(task, { ...had, seq: frame.seq });
    return judgement;
  }

  /** A snapshot says where its channel stands; of one in parts the last does. */
  stand(snapshot: Snapshot): void {
    const { epoch } = snapshot;
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

  private judged(channel: string, frame: Parameters<typeof accept>[1], filtered: boolean): Judgement {
    const had = this.positions.get(channel) ?? null;
    const [position, verdict]: readonly [Position | null, Verdict] = accept(had, frame, filtered);
    this.put(channel, position);
    const ask = verdict === "gap" && !had?.repairing ? channel : null;
    return { isNews: verdict !== "drop", ask };
  }

  private put(channel: string, position: Position | null): void {
    if (position === null) this.positions.delete(channel);
    else this.positions.set(channel, position);
  }
}
