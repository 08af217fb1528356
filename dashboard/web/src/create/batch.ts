/** Many links in one field: what each line means, which are named twice and which were made before. Pure. */

import type { Source, SourceType, TaskView } from "../api/types";
import type { Translate } from "../i18n";
import { read } from "./read";

export interface Entry {
  text: string;
  source: Source | null;
  /** What was understood, or why it cannot be used. */
  says: string | null;
  /** The same plugin stands further up. */
  duplicate: boolean;
  /** Name and namespace of a task that made it, or is making it. */
  made: { namespace: string; name: string } | null;
}

/** The lines that say something. People also paste lists with commas, and with bullets. */
export function linesOf(text: string): string[] {
  return text
    .split(/[\n\r,，;；]+|\s+(?=https?:\/\/)/)
    .map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)、])\s+/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** What makes two sources the same: the plugin, whatever way its link was written. */
export function identityOf(source: Source): string {
  const { type, marketplace, github, url, upload } = source;
  return JSON.stringify([type, marketplace ?? github ?? url ?? upload]);
}

export function entriesOf(
  text: string,
  offered: readonly SourceType[],
  tasks: readonly TaskView[],
  t: Translate,
): Entry[] {
  const made = new Map<string, TaskView>();
  for (const task of tasks) {
    const failed = task.status.phase === "Failed" || task.status.phase === "Cancelled";
    if (!failed && !task.spec.dryRun) made.set(identityOf(task.spec.source), task);
  }
  const seen = new Set<string>();
  return linesOf(text).map((line) => {
    const { source, says } = read(line, offered, t);
    if (source === null) return { text: line, source, says, duplicate: false, made: null };
    const identity = identityOf(source);
    const duplicate = seen.has(identity);
    seen.add(identity);
    const task = made.get(identity);
    return {
      text: line,
      source,
      says,
      duplicate,
      made: task ? { namespace: task.namespace, name: task.name } : null,
    };
  });
}

/** The sources to make tasks of. */
export function sourcesOf(entries: readonly Entry[]): Source[] {
  return entries.flatMap((entry) => (entry.source !== null && !entry.duplicate ? [entry.source] : []));
}
