/** What stands in the form, and what is sent of it. Pure. */

import type { Arch, ClientConfig, Mode, NewSpec, NewTask, Source, TaskView } from "../api/types";
import type { Prefill } from "./prefill";

export interface Draft {
  targets: readonly Arch[];
  python: string;
  mirror: string;
  mode: Mode;
  name: string;
}

export type DraftField = "targets" | "python" | "mirror" | "name";

/** The server's defaults, then what the address says, or what the task has that the form is a copy of. */
export function firstDraft(config: ClientConfig, prefill?: Prefill, copied?: TaskView): Draft {
  const spec = copied?.spec;
  const wanted = spec ? spec.targets.map(({ arch }) => arch) : (prefill?.targets ?? []);
  const targets = wanted.filter((arch) => config.targets.includes(arch));
  return {
    targets: targets.length > 0 ? targets : config.defaults.targets,
    python: spec?.python ?? config.defaults.python,
    mirror: spec
      ? (spec.packageIndex?.url ?? "")
      : (prefill?.mirror ?? config.defaults.packageIndexUrl ?? ""),
    mode: spec && config.modes.includes(spec.mode) ? spec.mode : config.defaults.mode,
    name: "",
  };
}

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const MAX_NAME = 52;
const PYTHON = /^3\.[0-9]{1,2}$/;

/** The fields that the server would refuse; checked here so that the answer stands beside the field at once. */
export function faultsOf(draft: Draft): ReadonlySet<DraftField> {
  const faults = new Set<DraftField>();
  if (draft.targets.length === 0) faults.add("targets");
  if (!PYTHON.test(draft.python)) faults.add("python");
  if (draft.mirror !== "" && !/^https?:\/\/[^\s]+$/.test(draft.mirror)) faults.add("mirror");
  if (draft.name !== "" && (!NAME.test(draft.name) || draft.name.length > MAX_NAME)) faults.add("name");
  return faults;
}

export function toNewTask(draft: Draft, source: Source, config: ClientConfig, rerunOf?: string): NewTask {
  const spec: NewSpec = {
    source,
    targets: draft.targets.map((arch) => ({ arch })),
    python: draft.python,
    mode: draft.mode,
    output: { suffix: config.defaults.suffix },
  };
  if (draft.mirror !== "") spec.packageIndex = { url: draft.mirror };
  return {
    spec,
    ...(draft.name === "" ? {} : { name: draft.name }),
    ...(rerunOf === undefined ? {} : { rerunOf }),
  };
}

/** Seconds that a dry run stays after its end: long enough to read its plan, and no longer. */
export const DRY_RUN_TTL = 900;

/** The same wish as a dry run: the worker stops after Plan, and the task goes by itself. */
export function asDryRun(task: NewTask): NewTask {
  const spec = { ...task.spec, dryRun: true, ttlSecondsAfterFinished: DRY_RUN_TTL };
  return { spec };
}

/** The form's field that a server's `details.field` is about; null when it is about the source or none. */
export function fieldOf(path: string | null): DraftField | "source" | null {
  if (path === null) return null;
  if (path.includes("source")) return "source";
  if (path.includes("targets")) return "targets";
  if (path.includes("python")) return "python";
  if (path.includes("packageIndex")) return "mirror";
  if (path === "name" || path.endsWith("metadata.name")) return "name";
  return null;
}

export type Refusal = "type" | "empty" | "size";

/** Why a file cannot be uploaded, found out before a byte is sent. */
export function refusal(file: { name: string; size: number }, maxBytes: number): Refusal | null {
  if (!/\.(difypkg|zip)$/i.test(file.name)) return "type";
  if (file.size === 0) return "empty";
  return file.size > maxBytes ? "size" : null;
}
