/** What stands in the form, and what is sent of it. Pure. */

import type { Arch, ClientConfig, NewSpec, NewTask, Source } from "../api/types";

export interface Draft {
  targets: readonly Arch[];
  python: string;
  mirror: string;
  name: string;
}

export type DraftField = "targets" | "python" | "mirror" | "name";

export function firstDraft(config: ClientConfig): Draft {
  return {
    targets: config.defaults.targets,
    python: config.defaults.python,
    mirror: config.defaults.packageIndexUrl ?? "",
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

export function toNewTask(draft: Draft, source: Source, config: ClientConfig): NewTask {
  const spec: NewSpec = {
    source,
    targets: draft.targets.map((arch) => ({ arch })),
    python: draft.python,
    mode: config.defaults.mode,
    output: { suffix: config.defaults.suffix },
  };
  if (draft.mirror !== "") spec.packageIndex = { url: draft.mirror };
  return draft.name === "" ? { spec } : { name: draft.name, spec };
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
