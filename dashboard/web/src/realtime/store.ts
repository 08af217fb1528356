/**
 * All tasks as last heard, by uid. Messages change it at once, listeners are told once per animation frame: a burst of
 * a thousand messages is one render. A task that did not change keeps its identity, so its row does not render.
 */

import type { OperatorHealth, Progress, TaskView } from "../api/types";
import { type AllSnapshot, isAllSnapshot, type ServerMessage, type SnapshotEntry } from "./messages";

interface Known {
  task: TaskView;
  /** Number of its last event, and of which numbering; an older one that comes late changes nothing. */
  seq: number;
  epoch: string;
}

export interface TasksSnapshot {
  /** Newest first. */
  tasks: readonly TaskView[];
  /** False until the first snapshot came. */
  loaded: boolean;
}

export class TaskStore {
  private readonly known = new Map<string, Known>();
  private incoming: SnapshotEntry[] = [];
  private loaded = false;
  private shown: TasksSnapshot = { tasks: [], loaded: false };
  private health: OperatorHealth = { state: "Unknown" };
  private stale = false;
  private scheduled = false;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly schedule: (flush: () => void) => void = (flush) => requestFrame(flush)) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getTasks = (): TasksSnapshot => this.shown;
  readonly getHealth = (): OperatorHealth => this.health;

  get(uid: string): TaskView | undefined {
    return this.known.get(uid)?.task;
  }

  /** The task of that name; the newest when one was deleted and made again. */
  find(namespace: string, name: string): TaskView | undefined {
    return this.shown.tasks.find((task) => task.namespace === namespace && task.name === name);
  }

  apply(message: ServerMessage): void {
    switch (message.type) {
      case "hello":
        if (message.operator) this.health = message.operator;
        break;
      case "operator.health":
        this.health = message.data;
        break;
      case "snapshot":
        if (isAllSnapshot(message)) this.collect(message);
        else this.put(message.task_id, message.data, message.seq, message.epoch);
        break;
      case "task.status":
        this.put(message.task_id, message.data, message.seq, message.epoch);
        break;
      case "task.progress":
        this.progress(message.task_id, message.data, message.seq);
        break;
      case "task.deleted":
        this.stale = this.known.delete(message.task_id) || this.stale;
        break;
      default:
        return;
    }
    this.changed();
  }

  /** What a REST answer said: taken unless something newer was heard already. */
  offer(task: TaskView): void {
    const had = this.known.get(task.uid);
    if (had && isOlder(task, had.task)) return;
    this.known.set(task.uid, {
      task: keepProgress(task, had?.task),
      seq: had?.seq ?? 0,
      epoch: had?.epoch ?? "",
    });
    this.stale = true;
    this.changed();
  }

  private collect(message: AllSnapshot): void {
    const part = message.part ?? 1;
    this.incoming = part === 1 ? [...message.data] : [...this.incoming, ...message.data];
    if (part < (message.parts ?? 1)) return;
    this.known.clear();
    const { epoch } = message;
    for (const entry of this.incoming) {
      this.known.set(entry.task_id, { task: entry.data, seq: entry.seq, epoch });
    }
    this.incoming = [];
    this.loaded = true;
    this.stale = true;
  }

  private put(uid: string, task: TaskView, seq: number, epoch: string): void {
    const had = this.known.get(uid);
    if (had?.epoch === epoch && seq < had.seq) return;
    this.known.set(uid, { task: keepProgress(task, had?.task), seq, epoch });
    this.stale = true;
  }

  private progress(uid: string, progress: Progress, seq: number): void {
    const had = this.known.get(uid);
    if (!had || !isNewerProgress(progress, had.task.progress)) return;
    this.known.set(uid, { ...had, task: { ...had.task, progress }, seq: Math.max(seq, had.seq) });
    this.stale = true;
  }

  private changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    if (this.stale || this.loaded !== this.shown.loaded) {
      this.stale = false;
      const tasks = [...this.known.values()].map((known) => known.task).sort(newestFirst);
      this.shown = { tasks, loaded: this.loaded };
    }
    for (const listener of this.listeners) listener();
  }
}

function isNewerProgress(progress: Progress, had: Progress | null | undefined): boolean {
  if (!had) return true;
  return progress.attempt > had.attempt || (progress.attempt === had.attempt && progress.tick > had.tick);
}

/** A status message may leave the progress out, or carry an older one than was heard since. */
function keepProgress(task: TaskView, had: TaskView | undefined): TaskView {
  const progress = had?.progress;
  if (!progress || (task.progress && isNewerProgress(task.progress, progress))) return task;
  return { ...task, progress };
}

function isOlder(task: TaskView, had: TaskView): boolean {
  const sequence = (view: TaskView) => view.status.sequence ?? 0;
  return (
    sequence(task) < sequence(had) || (sequence(task) === sequence(had) && task.generation < had.generation)
  );
}

function newestFirst(a: TaskView, b: TaskView): number {
  const byTime = (b.createdAt ?? "").localeCompare(a.createdAt ?? "");
  return byTime !== 0 ? byTime : a.uid.localeCompare(b.uid);
}

/** Frames stop in a hidden tab; data must not, or a restored tab would show the past for a moment. */
function requestFrame(flush: () => void): void {
  if (document.visibilityState === "visible") requestAnimationFrame(flush);
  else setTimeout(flush, 250);
}
