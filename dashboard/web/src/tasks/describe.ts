/** What a task is called and how far it is: the same words in the list, on its page and in the title. Pure. */

import type { Phase, Source, Stage, TaskView } from "../api/types";

const FINAL: ReadonlySet<Phase> = new Set<Phase>(["Succeeded", "Failed", "Cancelled"]);

/** A task that the operator has not seen yet has no phase: it is pending. */
export function phaseOf(task: TaskView): Phase {
  return task.status.phase ?? "Pending";
}

export function isFinal(task: TaskView): boolean {
  return FINAL.has(phaseOf(task));
}

/** The plugin as its manifest says, else as the source lets one guess, else the task's name. */
export function pluginName(task: TaskView): string {
  const plugin = task.status.plugin ?? task.progress?.plugin;
  if (plugin?.author && plugin.name) return `${plugin.author}/${plugin.name}`;
  return plugin?.name ?? plugin?.displayName ?? sourceName(task.spec.source) ?? task.name;
}

export function pluginVersion(task: TaskView): string | null {
  const plugin = task.status.plugin ?? task.progress?.plugin;
  return plugin?.version ?? task.spec.source.marketplace?.version ?? task.spec.source.github?.tag ?? null;
}

function sourceName(source: Source): string | null {
  if (source.marketplace) return `${source.marketplace.author}/${source.marketplace.name}`;
  if (source.github) return source.github.repo;
  const file = source.url ? fileName(source.url.url) : uploadName(source);
  return file?.replace(/\.difypkg$/, "") ?? null;
}

function fileName(address: string): string | null {
  try {
    const last = new URL(address).pathname.split("/").filter(Boolean).at(-1);
    return last ? decodeURIComponent(last) : null;
  } catch {
    return null;
  }
}

/** The file as it was called; the server put a random beginning before it. */
function uploadName(source: Source): string | null {
  return source.upload?.key.replace(/^[0-9a-f]{32}-/, "") ?? null;
}

/** Where the plugin comes from, in one line. */
export function sourceText(source: Source): string {
  if (source.marketplace) {
    const { author, name, version } = source.marketplace;
    return `${author}/${name}${version ? `@${version}` : ""}`;
  }
  if (source.github) {
    return [source.github.repo, source.github.tag, source.github.asset].filter(Boolean).join(" ");
  }
  return source.url?.url ?? uploadName(source) ?? source.type;
}

export interface Step {
  stage: Stage;
  percent: number | null;
}

/** The stage that runs and its percentage: live if the worker was heard, else the copy in the task. */
export function stepOf(task: TaskView): Step | null {
  const attempt = task.status.attempt ?? 0;
  const live = task.progress;
  if (live && live.attempt >= attempt && live.stage) {
    return { stage: live.stage, percent: live.percent ?? null };
  }
  const copy = task.status.progress;
  return copy?.step ? { stage: copy.step, percent: copy.percent ?? null } : null;
}

/** The message without the hint that the operator puts at its end for kubectl users, and the hint. */
export function splitHint(message: string): { message: string; hint: string | null } {
  const at = message.lastIndexOf(" Hint: ");
  if (at < 0) return { message, hint: null };
  return { message: message.slice(0, at), hint: message.slice(at + " Hint: ".length) };
}

export const RERUN_OF = "dify-repack.io/rerun-of";
