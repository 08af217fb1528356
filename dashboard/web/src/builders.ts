/** Tasks for tests: valid ones, of which a test names only what it is about. */

import type { Artifact, Phase, Progress, StageProgress, TaskView } from "./api/types";

type Parts = Partial<Omit<TaskView, "status" | "spec">> & {
  phase?: Phase;
  status?: Partial<TaskView["status"]>;
  spec?: Partial<TaskView["spec"]>;
};

export function aTask({ phase = "Running", status, spec, ...rest }: Parts = {}): TaskView {
  return {
    uid: "uid-1",
    namespace: "default",
    name: "text-tools",
    labels: {},
    createdAt: "2026-11-23T06:00:00Z",
    generation: 1,
    deleting: false,
    spec: {
      source: { type: "URL", url: { url: "https://example.org/text-tools.difypkg" } },
      targets: [{ arch: "amd64" }],
      python: "3.12",
      mode: "RequirementsOnly",
      dryRun: false,
      output: { suffix: "offline" },
      desiredState: "Active",
      priority: 0,
      retry: { limit: 2, backoffSeconds: 10, maxBackoffSeconds: 300 },
      activeDeadlineSeconds: 1800,
      pendingDeadlineSeconds: 600,
      ...spec,
    },
    status: { phase, attempt: 1, sequence: 1, ...status },
    ...rest,
  };
}

export function aStage(stage: StageProgress["stage"], parts: Partial<StageProgress> = {}): StageProgress {
  return { stage, state: "Pending", bytesDone: 0, ...parts };
}

export function aProgress(parts: Partial<Progress> = {}): Progress {
  return { attempt: 1, tick: 1, stages: [], updatedAt: "2026-11-23T06:00:10Z", ...parts };
}

export function anArtifact(parts: Partial<Artifact> = {}): Artifact {
  return {
    target: "amd64",
    name: "text-tools-linux-amd64-offline.difypkg",
    uri: "/api/v1/artifacts/uid-1/text-tools-linux-amd64-offline.difypkg",
    sha256: "ab".repeat(32),
    sizeBytes: 12_000_000,
    wheels: 20,
    verification: { method: "NetworkNamespace", passed: true, verifiedAt: "2026-11-23T06:01:00Z" },
    ...parts,
  };
}
