/** The seven stages as the timeline shows them, whatever was heard of them so far. Pure. */

import type { Stage, StageProgress, TaskView } from "../api/types";
import { isFinal, phaseOf } from "../tasks/describe";

export const STAGES: readonly Stage[] = ["Fetch", "Plan", "Download", "Build", "Pack", "Verify", "Publish"];

export interface Timeline {
  attempt: number;
  stages: readonly StageProgress[];
}

/** Stages of the current attempt. Without live progress (a restarted dashboard) they follow from the task itself. */
export function timelineOf(task: TaskView): Timeline {
  const attempt = Math.max(task.status.attempt ?? 0, 1);
  const live = task.progress?.attempt === attempt || isFinal(task) ? task.progress : null;
  const heard = new Map((live?.stages ?? []).map((stage) => [stage.stage, stage]));
  const begun = STAGES.findLastIndex((stage) => (heard.get(stage)?.state ?? "Pending") !== "Pending");
  const stages = STAGES.map((stage, index) => {
    const told = heard.get(stage) ?? inferred(stage, task, heard.size > 0);
    // The worker says nothing of a stage that it did not need, and has gone past it.
    return told.state === "Pending" && index < begun ? { ...told, state: "Skipped" as const } : told;
  });
  return { attempt: live?.attempt ?? attempt, stages: stages.map((stage) => settled(stage, task)) };
}

function inferred(stage: Stage, task: TaskView, someHeard: boolean): StageProgress {
  const pending: StageProgress = { stage, state: "Pending", bytesDone: 0 };
  if (someHeard) return pending;
  // A plan ends a dry run; whether something was built is not told by the task.
  if (phaseOf(task) === "Succeeded") {
    const beyondPlan = task.spec.dryRun && STAGES.indexOf(stage) > STAGES.indexOf("Plan");
    return { ...pending, state: stage === "Build" || beyondPlan ? "Skipped" : "Done" };
  }
  const reached = task.status.progress?.step;
  if (!reached) return pending;
  const [at, mine] = [STAGES.indexOf(reached), STAGES.indexOf(stage)];
  if (mine < at) return { ...pending, state: stage === "Build" ? "Skipped" : "Done" };
  return mine === at ? { ...pending, state: "Running" } : pending;
}

/** Nothing runs in a task that has ended: a stage that was cut off failed, one that was never begun was not needed. */
function settled(stage: StageProgress, task: TaskView): StageProgress {
  if (!isFinal(task) || stage.state !== "Running") return stage;
  const state = phaseOf(task) === "Succeeded" ? "Done" : "Failed";
  return { ...stage, state, finishedAt: stage.finishedAt ?? task.status.completionTime };
}

/** The stage whose bytes move now: the one that runs and has counted some. */
export function movingStage(task: TaskView): StageProgress | null {
  if (phaseOf(task) !== "Running") return null;
  const running = task.progress?.stages.find((stage) => stage.state === "Running");
  return running && (running.bytesDone > 0 || running.bytesTotal) ? running : null;
}

/** The quarter of its bytes that a running stage has passed: 25, 50 or 75; 0 before the first and without a total. */
export function quarterOf(stage: StageProgress): number {
  if (stage.state !== "Running" || !stage.bytesTotal) return 0;
  return Math.min(75, Math.floor((4 * stage.bytesDone) / stage.bytesTotal) * 25);
}
