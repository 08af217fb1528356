import { useMutation } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api, toApiError } from "../api/client";
import type { NewTask, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useLive, useTasks } from "../realtime/live";
import { FailureNote } from "../task/FailureNote";
import { PlanCard } from "../task/PlanCard";
import { isFinal, phaseOf, stepOf } from "../tasks/describe";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./CreateDialog.module.css";
import { asDryRun } from "./draft";

/** A dry run of what stands in the form: a task of its own that stops after Plan and goes by itself. */
export function useDryRun() {
  const { store } = useLive();
  const { tasks } = useTasks();
  const [uid, setUid] = useState<string | null>(null);
  /** Of the wish that stands in the form now; what comes of an earlier one is nobody's. */
  const wish = useRef(0);
  const create = useMutation({
    mutationFn: async ({ task, number }: { task: NewTask; number: number }) => ({
      made: await api.create(asDryRun(task)),
      number,
    }),
    onSuccess: ({ made, number }) => {
      store.offer(made);
      if (number === wish.current) setUid(made.uid);
      else abandon(made);
    },
  });
  const task = useMemo(() => tasks.find((each) => each.uid === uid), [tasks, uid]);
  const latest = useRef(task);
  latest.current = task;
  const leave = useCallback(() => {
    wish.current += 1;
    abandon(latest.current);
  }, []);
  useEffect(() => leave, [leave]);
  return {
    task,
    busy: create.isPending || (task !== undefined && !isFinal(task)),
    error: create.isError ? toApiError(create.error) : null,
    start: (wanted: NewTask) => {
      leave();
      setUid(null);
      create.mutate({ task: wanted, number: wish.current });
    },
    reset: () => {
      leave();
      setUid(null);
      create.reset();
    },
  };
}

/** Nobody waits for a dry run whose form was left or changed. It may have ended this very moment, which is no failure. */
function abandon(task: TaskView | undefined): void {
  if (task && !isFinal(task)) void api.cancel(task.uid).catch(() => {});
}

export function PlanPanel({ dryRun }: { dryRun: ReturnType<typeof useDryRun> }) {
  const { task, error } = dryRun;
  if (error !== null) return <ProblemNote error={error} />;
  if (task === undefined) return null;
  if (phaseOf(task) === "Failed") return <FailureNote task={task} />;
  if (task.status.plan) return <PlanCard plan={task.status.plan} inForm />;
  return <Working task={task} />;
}

function Working({ task }: { task: TaskView }) {
  const { t } = useWords();
  const step = stepOf(task);
  const words = step ? t(`stage.${step.stage}`) : t(`phase.${phaseOf(task)}`);
  return (
    <p className={styles.working} role="status">
      <Icon name="spinner" spin /> {t("plan.working", { stage: words })}
    </p>
  );
}
