import { useEffect, useRef, useState } from "react";
import type { StageProgress, StageState, TaskView } from "../api/types";
import { type Translate, useWords } from "../i18n";
import { duration } from "../i18n/format";
import { useTasks } from "../realtime/live";
import { phaseOf } from "../tasks/describe";
import { etaOf, placeOf, waitingText } from "../tasks/waiting";
import { Icon, type IconName } from "../ui/Icon";
import { Elapsed } from "../ui/Times";
import styles from "./StageTimeline.module.css";
import { quarterOf, timelineOf } from "./timeline";

const ICONS: Record<StageState, IconName> = {
  Pending: "circle",
  Running: "half",
  Done: "check",
  Failed: "cross",
  Skipped: "dash",
};

export function StageTimeline({ task }: { task: TaskView }) {
  const { t } = useWords();
  const { attempt, stages } = timelineOf(task);
  const running = stages.find((stage) => stage.state === "Running");
  return (
    <div>
      <ol className={styles.stages} aria-label={t("timeline.label")}>
        {stages.map((stage) => (
          <StageItem key={stage.stage} stage={stage} />
        ))}
      </ol>
      <p className={styles.below}>
        {attempt > 1 && <span className={styles.attempt}>{t("timeline.attempt", { n: attempt })}</span>}
        <Below task={task} running={running} />
      </p>
      <Announcer stages={stages} />
    </div>
  );
}

function StageItem({ stage }: { stage: StageProgress }) {
  const { t } = useWords();
  const state = t(`stage.state.${stage.state}`);
  return (
    <li
      className={styles.stage}
      data-stage={stage.stage}
      data-state={stage.state}
      title={stage.message ?? undefined}
    >
      <span className={styles.mark}>
        <Icon name={ICONS[stage.state]} size={14} />
      </span>
      <span className={styles.name}>{t(`stage.${stage.stage}`)}</span>
      <span className="unseen">, {state}</span>
      <span className={styles.time}>
        {stage.state !== "Skipped" && <Elapsed from={stage.startedAt} to={endOf(stage)} />}
      </span>
    </li>
  );
}

/** A stage that has ended does not tick on, even when its end was not told. */
function endOf(stage: StageProgress): string | null | undefined {
  return stage.state === "Running" ? null : (stage.finishedAt ?? stage.startedAt);
}

/** What goes on just now, or what is waited for, in words. */
function Below({ task, running }: { task: TaskView; running: StageProgress | undefined }) {
  const { t } = useWords();
  const phase = phaseOf(task);
  const waiting = waitingText(task, t);
  if (waiting !== null) return <Waiting task={task} text={waiting} />;
  if (phase === "Starting") return <span>{task.status.message || t("timeline.waiting")}</span>;
  if (phase !== "Running") return null;
  const message = running?.message ?? task.progress?.message ?? task.status.progress?.message;
  return message ? <span className="mono">{message}</span> : null;
}

/** The place in the queue with its reason, and about how long it takes from there. */
function Waiting({ task, text }: { task: TaskView; text: string }) {
  const { t, language } = useWords();
  const { tasks } = useTasks();
  const place = placeOf(task);
  const eta = place === null ? null : etaOf(place, tasks);
  return (
    <span data-testid="waiting">
      {text}
      {eta !== null && ` ${t("queue.eta", { time: duration(eta, language) })}`}
    </span>
  );
}

/** Tells each change of a stage, and each quarter of its bytes, once; not each tick. */
function Announcer({ stages }: { stages: readonly StageProgress[] }) {
  const { t } = useWords();
  const [said, setSaid] = useState("");
  const before = useRef<string | null>(null);
  const words = announced(stages, t);
  useEffect(() => {
    if (before.current !== null && before.current !== words) setSaid(words);
    before.current = words;
  }, [words]);
  return (
    <span role="status" className="unseen">
      {said}
    </span>
  );
}

function announced(stages: readonly StageProgress[], t: Translate): string {
  const last = stages.findLast((stage) => stage.state !== "Pending" && stage.state !== "Skipped");
  if (!last) return "";
  const stage = t(`stage.${last.stage}`);
  const quarter = quarterOf(last);
  return quarter === 0
    ? t("timeline.announce", { stage, state: t(`stage.state.${last.state}`) })
    : t("transfer.announce", { stage, percent: quarter });
}
