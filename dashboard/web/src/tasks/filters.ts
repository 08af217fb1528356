/** The list's filter and the address of the page: the one is the other. Pure. */

import type { Arch, Phase, SourceType, TaskView } from "../api/types";
import { phaseOf, pluginName, sourceText } from "./describe";

/** What people ask for, in place of ten phases. */
export const GROUPS = {
  active: ["Pending", "Queued", "Starting", "Running", "Retrying", "Cancelling", "Suspended"],
  succeeded: ["Succeeded"],
  failed: ["Failed"],
  cancelled: ["Cancelled"],
} as const satisfies Record<string, readonly Phase[]>;
export type Group = keyof typeof GROUPS;
export const GROUP_NAMES = Object.keys(GROUPS) as Group[];

const PHASES: ReadonlySet<string> = new Set(Object.values(GROUPS).flat());
const PLATFORMS: ReadonlySet<string> = new Set<Arch>(["amd64", "arm64", "universal"]);

const SOURCES: ReadonlySet<string> = new Set<SourceType>(["Marketplace", "GitHub", "URL", "Upload"]);
export const SORTS = ["-created", "created", "name", "-name"] as const;
export type Sort = (typeof SORTS)[number];

export interface Filter {
  q: string;
  phases: ReadonlySet<Phase>;
  platform: Arch | null;
  source: SourceType | null;
  /** Dry runs end with a plan and are no packages: they are shown in place of the tasks, and only when asked for. */
  dryRuns: boolean;
  sort: Sort;
}

export const NO_FILTER: Filter = {
  q: "",
  phases: new Set(),
  platform: null,
  source: null,
  dryRuns: false,
  sort: "-created",
};

export function fromSearch(search: string): Filter {
  const query = new URLSearchParams(search);
  const phases = (query.get("phase") ?? "").split(",").filter((name): name is Phase => PHASES.has(name));
  const platform = query.get("platform");
  const source = query.get("source");
  const sort = query.get("sort") as Sort;
  return {
    q: query.get("q") ?? "",
    phases: new Set(phases),
    platform: platform !== null && PLATFORMS.has(platform) ? (platform as Arch) : null,
    source: source !== null && SOURCES.has(source) ? (source as SourceType) : null,
    dryRuns: query.get("dry") === "1",
    sort: SORTS.includes(sort) ? sort : "-created",
  };
}

/** The address's query, without `?`; empty for no filter. What else stands in the query is kept. */
export function toSearch(filter: Filter, search = ""): string {
  const query = new URLSearchParams(search);
  const set = (key: string, value: string) => (value === "" ? query.delete(key) : query.set(key, value));
  set("q", filter.q);
  set("phase", [...filter.phases].join(","));
  set("platform", filter.platform ?? "");
  set("source", filter.source ?? "");
  set("dry", filter.dryRuns ? "1" : "");
  set("sort", filter.sort === "-created" ? "" : filter.sort);
  return query.toString().replaceAll("%2C", ",");
}

export function hasGroup(filter: Filter, group: Group): boolean {
  return GROUPS[group].every((phase) => filter.phases.has(phase));
}

export function toggleGroup(filter: Filter, group: Group): Filter {
  const phases = new Set(filter.phases);
  const remove = hasGroup(filter, group);
  for (const phase of GROUPS[group]) {
    if (remove) phases.delete(phase);
    else phases.add(phase);
  }
  return { ...filter, phases };
}

/** Whether a task is one that the filter shows. */
function shows(task: TaskView, filter: Filter, words: readonly string[]): boolean {
  const { spec } = task;
  if (spec.dryRun !== filter.dryRuns) return false;
  if (filter.phases.size > 0 && !filter.phases.has(phaseOf(task))) return false;
  if (filter.platform !== null && !spec.targets.some((target) => target.arch === filter.platform))
    return false;
  if (filter.source !== null && spec.source.type !== filter.source) return false;
  if (words.length === 0) return true;
  const text = [
    pluginName(task),
    task.name,
    task.namespace,
    task.status.reason ?? "",
    sourceText(spec.source),
  ].join(" ");
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** The tasks that match, in the order that is asked for; they come newest first. */
export function matching(tasks: readonly TaskView[], filter: Filter): TaskView[] {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = tasks.filter((task) => shows(task, filter, words));
  if (filter.sort === "created") return found.reverse();
  if (filter.sort === "-created") return found;
  const sign = filter.sort === "name" ? 1 : -1;
  return found
    .map((task) => ({ task, name: pluginName(task).toLowerCase() }))
    .sort((a, b) => sign * (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ task }) => task);
}

/** The next order when a column's head is pressed. */
export function nextSort(sort: Sort, column: "name" | "created"): Sort {
  if (column === "name") return sort === "name" ? "-name" : "name";
  return sort === "-created" ? "created" : "-created";
}

export function countGroups(tasks: readonly TaskView[]): Record<Group, number> {
  const counts: Record<Group, number> = { active: 0, succeeded: 0, failed: 0, cancelled: 0 };
  for (const task of tasks) {
    if (task.spec.dryRun) continue;
    const phase = phaseOf(task);
    const group = GROUP_NAMES.find((name) => (GROUPS[name] as readonly Phase[]).includes(phase));
    if (group) counts[group] += 1;
  }
  return counts;
}
