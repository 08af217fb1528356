import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { api, toApiError } from "../api/client";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useConnection, useLive, useNamedTask, useOperatorHealth, useTasks } from "../realtime/live";
import { isFinal, phaseOf } from "../tasks/describe";
import { EmptyState } from "../ui/EmptyState";
import { ProblemNote } from "../ui/ProblemNote";
import { StaleMark } from "../ui/StaleMark";
import { ArtifactCard } from "./ArtifactCard";
import { Attempts } from "./Attempts";
import { useCompanions } from "./companions";
import { FailureNote } from "./FailureNote";
import { LogViewer } from "./LogViewer";
import { NextSteps } from "./NextSteps";
import { PlanCard } from "./PlanCard";
import { Runs } from "./Runs";
import { PodTrouble, Sights } from "./Sights";
import { StageTimeline } from "./StageTimeline";
import { TaskHeader } from "./TaskHeader";
import styles from "./TaskPage.module.css";
import { TransferBar } from "./TransferBar";
import { YamlPanel } from "./YamlPanel";

/** One task by its namespace and name: live from the store, or asked for while the connection is not there. */
export default function TaskPage({ namespace, name }: { namespace: string; name: string }) {
  const { t } = useWords();
  const live = useLive();
  const task = useNamedTask(namespace, name);
  const { loaded } = useTasks();
  const { status } = useConnection();
  const away = status !== "connected" && status !== "connecting";
  const asked = useQuery({
    queryKey: ["find", namespace, name],
    queryFn: () => api.find(namespace, name),
    enabled: task === undefined && (loaded || away),
    staleTime: 0,
  });
  const found = asked.data?.items[0];
  useEffect(() => {
    if (found) live.store.offer(found);
  }, [found, live]);

  if (task) return <Loaded task={task} />;
  if (asked.isError) return <ProblemNote error={toApiError(asked.error)} />;
  if (asked.isSuccess && !asked.isFetching && !found) {
    return (
      <section className="card">
        <EmptyState
          icon="search"
          isPage
          title={t("task.missing.title")}
          action={<Link href="/">{t("app.toTasks")}</Link>}
        >
          {t("task.missing.text", { name, namespace })}
        </EmptyState>
      </section>
    );
  }
  return (
    <div role="status" aria-label={t("task.loading")} className={styles.page}>
      <h1 className="unseen">{name}</h1>
      <Skeleton height={70} radius="md" />
      <Skeleton height={110} radius="md" />
      <Skeleton height={320} radius="md" />
    </div>
  );
}

function Loaded({ task }: { task: TaskView }) {
  const stale = useOperatorHealth().state === "Stale" && !isFinal(task);
  const phase = phaseOf(task);
  const artifacts = task.status.artifacts ?? [];
  const beside = useCompanions(task);
  return (
    <div className={styles.page} data-uid={task.uid}>
      <StaleMark />
      <TaskHeader task={task} />
      <FailureNote task={task} />
      <PodTrouble task={task} />
      <div className={stale ? styles.greyed : undefined}>
        <section className="card">
          <StageTimeline task={task} />
          <TransferBar task={task} />
        </section>
      </div>
      {artifacts.length > 0 && (
        <div className={styles.columns}>
          <div className={phase === "Succeeded" ? styles.packages : styles.packagesWide}>
            {artifacts.map((artifact) => (
              <ArtifactCard
                key={artifact.target}
                artifact={artifact}
                beside={beside.get(artifact.target) ?? []}
              />
            ))}
          </div>
          {phase === "Succeeded" && (
            <NextSteps
              task={task}
              signed={[...beside.values()].some((kinds) => kinds.includes("public_key.pem"))}
            />
          )}
        </div>
      )}
      {task.status.plan && <PlanCard plan={task.status.plan} />}
      <LogViewer key={task.uid} task={task} />
      <Attempts task={task} />
      <Sights task={task} />
      <Runs task={task} />
      <YamlPanel task={task} />
    </div>
  );
}
