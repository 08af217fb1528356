/** A task as the YAML that `kubectl apply` accepts. Pure. Strings are quoted whenever YAML could read them otherwise. */

import type { NewSpec, TaskView } from "../api/types";

const PLAIN = /^[A-Za-z_][A-Za-z0-9_./@+-]*$/;
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$/i;

function scalar(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value);
}

function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => listItem(item, indent));
  return Object.entries(value as Record<string, unknown>)
    .filter(([, field]) => field !== null && field !== undefined)
    .flatMap(([key, field]) => entry(scalar(key), field, indent));
}

function entry(key: string, value: unknown, indent: string): string[] {
  if (typeof value !== "object" || value === null) {
    return [`${indent}${key}: ${scalar(value as string | number | boolean)}`];
  }
  const nested = lines(value, `${indent}  `);
  if (nested.length === 0) return [`${indent}${key}: ${Array.isArray(value) ? "[]" : "{}"}`];
  return [`${indent}${key}:`, ...nested];
}

function listItem(item: unknown, indent: string): string[] {
  if (typeof item !== "object" || item === null)
    return [`${indent}- ${scalar(item as string | number | boolean)}`];
  const [first = "", ...rest] = lines(item, `${indent}  `);
  return [`${indent}- ${first.trimStart()}`, ...rest];
}

export function toYaml(value: Record<string, unknown>): string {
  return `${lines(value, "").join("\n")}\n`;
}

/** The manifest that makes this task: what the user asked for, without what the cluster added. */
export function manifestOf(task: Pick<TaskView, "name" | "namespace"> & { spec: NewSpec }): string {
  const { desiredState, ...spec } = task.spec;
  return toYaml({
    apiVersion: "dify-repack.io/v1alpha1",
    kind: "RepackageTask",
    metadata: { name: task.name, namespace: task.namespace },
    spec: desiredState === undefined || desiredState === "Active" ? spec : { ...spec, desiredState },
  });
}

export interface KubectlCommands {
  watch: string;
  describe: string;
  wait: string;
  cancel: string;
  remove: string;
  logs: string | null;
}

export function kubectlFor(task: TaskView): KubectlCommands {
  const at = `-n ${task.namespace}`;
  const job = task.status.job?.name;
  return {
    watch: `kubectl get rpt ${task.name} ${at} -w`,
    describe: `kubectl describe rpt ${task.name} ${at}`,
    wait: `kubectl wait rpt/${task.name} ${at} --for=condition=Complete --timeout=30m`,
    cancel: `kubectl patch rpt ${task.name} ${at} --type=merge -p '{"spec":{"desiredState":"Cancelled"}}'`,
    remove: `kubectl delete rpt ${task.name} ${at}`,
    logs: job ? `kubectl logs job/${job} ${at} -f` : null,
  };
}
