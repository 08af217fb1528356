/** What the server's answers and messages carry. Names follow `repack_contract` (views, task, progress). */

export type Phase =
  | "Pending"
  | "Queued"
  | "Starting"
  | "Running"
  | "Retrying"
  | "Suspended"
  | "Cancelling"
  | "Succeeded"
  | "Failed"
  | "Cancelled";

export type Stage = "Fetch" | "Plan" | "Download" | "Build" | "Pack" | "Verify" | "Publish";
export type StageState = "Pending" | "Running" | "Done" | "Failed" | "Skipped";
export type SourceType = "Marketplace" | "GitHub" | "URL" | "Upload";
export type Arch = "amd64" | "arm64" | "universal";
export type VerificationMethod = "NetworkNamespace" | "SeccompFilter" | "OfflineFlags" | "CrossInstall";

/** A field that the server leaves out, or sends as null, when there is nothing to say. */
type Maybe<T> = T | null | undefined;

export interface Source {
  type: SourceType;
  marketplace?: Maybe<{ author: string; name: string; version: string }>;
  github?: Maybe<{ repo: string; tag: string; asset: string }>;
  url?: Maybe<{ url: string; sha256?: Maybe<string> }>;
  upload?: Maybe<{ key: string }>;
}

export interface Spec {
  source: Source;
  targets: { arch: Arch }[];
  python?: string;
  mode?: string;
  dryRun?: boolean;
  packageIndex?: Maybe<{ url?: Maybe<string>; extraURLs?: Maybe<string[]> }>;
  output?: Maybe<{ suffix?: string }>;
  desiredState?: "Active" | "Suspended" | "Cancelled";
  retry?: Maybe<{ limit?: number; backoffSeconds?: number; maxBackoffSeconds?: number }>;
  ttlSecondsAfterFinished?: Maybe<number>;
}

export interface PluginInfo {
  displayName?: Maybe<string>;
  author?: Maybe<string>;
  name?: Maybe<string>;
  version?: Maybe<string>;
}

export interface Verification {
  method: VerificationMethod;
  passed: boolean;
  verifiedAt?: Maybe<string>;
  message?: Maybe<string>;
}

export interface Artifact {
  target: Arch;
  name?: Maybe<string>;
  uri?: Maybe<string>;
  sha256?: Maybe<string>;
  sizeBytes?: Maybe<number>;
  wheels?: Maybe<number>;
  verification?: Maybe<Verification>;
}

export interface AttemptRecord {
  attempt?: Maybe<number>;
  job?: Maybe<string>;
  pod?: Maybe<string>;
  startTime?: Maybe<string>;
  completionTime?: Maybe<string>;
  exitCode?: Maybe<number>;
  class?: Maybe<string>;
  reason?: Maybe<string>;
  message?: Maybe<string>;
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  lastTransitionTime: string;
  reason: string;
  message?: Maybe<string>;
}

export interface Plan {
  packages?: Maybe<number>;
  downloadBytes?: Maybe<number>;
  builds?: Maybe<number>;
  warnings?: Maybe<string[]>;
  targets?: Maybe<{ arch: Arch; sizeBytes?: Maybe<number>; overLimit?: Maybe<boolean> }[]>;
}

export interface Status {
  sequence?: Maybe<number>;
  phase?: Maybe<Phase>;
  reason?: Maybe<string>;
  message?: Maybe<string>;
  attempt?: Maybe<number>;
  queuedAt?: Maybe<string>;
  startTime?: Maybe<string>;
  completionTime?: Maybe<string>;
  expiresAt?: Maybe<string>;
  duration?: Maybe<string>;
  job?: Maybe<{ name?: Maybe<string>; uid?: Maybe<string> }>;
  plugin?: Maybe<PluginInfo>;
  progress?: Maybe<{ percent?: Maybe<number>; step?: Maybe<Stage>; message?: Maybe<string> }>;
  plan?: Maybe<Plan>;
  artifacts?: Maybe<Artifact[]>;
  attempts?: Maybe<AttemptRecord[]>;
  conditions?: Maybe<Condition[]>;
}

export interface StageProgress {
  stage: Stage;
  state: StageState;
  startedAt?: Maybe<string>;
  finishedAt?: Maybe<string>;
  bytesDone: number;
  bytesTotal?: Maybe<number>;
  message?: Maybe<string>;
}

export interface Progress {
  attempt: number;
  tick: number;
  stage?: Maybe<Stage>;
  stages: StageProgress[];
  percent?: Maybe<number>;
  message?: Maybe<string>;
  plugin?: Maybe<PluginInfo>;
  updatedAt: string;
}

export interface TaskView {
  uid: string;
  namespace: string;
  name: string;
  labels: Record<string, string>;
  createdAt?: Maybe<string>;
  generation: number;
  deleting: boolean;
  spec: Spec;
  status: Status;
  progress?: Maybe<Progress>;
}

export interface TaskList {
  items: TaskView[];
  total: number;
  counts: Partial<Record<Phase, number>>;
  continue?: Maybe<string>;
}

export interface LogLine {
  n: number;
  ts: string;
  stage?: Maybe<Stage>;
  level: "debug" | "info" | "warning" | "error";
  text: string;
}

export interface LogPage {
  attempt: number;
  attempts: number[];
  items: LogLine[];
  last: number;
  complete?: boolean;
}

export interface OperatorHealth {
  state: "Unknown" | "Healthy" | "Stale";
  lastHeardAt?: Maybe<string>;
  instance?: Maybe<string>;
  epoch?: Maybe<number>;
  leader?: Maybe<boolean>;
  queueDepth?: Maybe<number>;
  running?: Maybe<number>;
  slots?: Maybe<number>;
  watchAgeSeconds?: Maybe<number>;
}

export interface Upload {
  key: string;
  filename: string;
  sizeBytes: number;
  sha256: string;
}

export interface NewTask {
  namespace?: string;
  name?: string;
  rerunOf?: string;
  spec: Spec;
}

export interface ClientConfig {
  version: string;
  instance: string;
  authMode: string;
  namespace: string;
  namespaces: string[];
  sources: SourceType[];
  targets: Arch[];
  limits: { maxUploadBytes: number };
  defaults: {
    targets: Arch[];
    python: string;
    mode: string;
    suffix: string;
    packageIndexUrl?: Maybe<string>;
  };
}

export interface Problem {
  title: string;
  status: number;
  detail: string;
  reason: string;
  hint?: Maybe<string>;
  details?: Maybe<Record<string, unknown>>;
}
