/** The list's filter and the address of the page: the one is the other. Pure. */

import type { Arch, Phase, TaskView } from "../api/types";
import { phaseOf, pluginName } from "./describe";

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

export interface Filter {
  q: string;
  phases: ReadonlySet<Phase>;
  platform: Arch | null;
}

export const NO_FILTER: Filter = { q: "", phases: new Set(), platform: null };

export function fromSearch(search: string): Filter {
  const query = new URLSearchParams(search);
  const phases = (query.get("phase") ?? "").split(",").filter((name): name is Phase => PHASES.has(name));
  const platform = query.get("platform");
  return {
    q: query.get("q") ?? "",
    phases: new Set(phases),
    platform: platform !== null && PLATFORMS.has(platform) ? (platform as Arch) : null,
  };
}

/** The address's query, without `?`; empty for no filter. What else stands in the query is kept. */
export function toSearch(filter: Filter, search = ""): string {
  const query = new URLSearchParams(search);
  const set = (key: string, value: string) => (value === "" ? query.delete(key) : query.set(key, value));
  set("q", filter.q);
  set("phase", [...filter.phases].join(","));
  set("platform", filter.platform ?? "");
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

export function isFiltering(filter: Filter): boolean {
  return filter.q.trim() !== "" || filter.phases.size > 0 || filter.platform !== null;
}

/** The tasks that match. Dry runs are left out: they end with a plan and are no packages. */
export function matching(tasks: readonly TaskView[], filter: Filter): TaskView[] {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  return tasks.filter((task) => {
    if (task.spec.dryRun) return false;
    if (filter.phases.size > 0 && !filter.phases.has(phaseOf(task))) return false;
    if (filter.platform !== null && !task.spec.targets.some((target) => target.arch === filter.platform))
      return false;
    if (words.length === 0) return true;
    const text =
      `${pluginName(task)} ${task.name} ${task.namespace} ${task.status.reason ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
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
