import { memo } from "react";
import { Link } from "wouter";
import { archiveUrl } from "../api/client";
import type { TaskView } from "../api/types";
import { isKey, useWords } from "../i18n";
import { FileLink } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { StatusBadge } from "../ui/StatusBadge";
import { Ago } from "../ui/Times";
import { taskPath } from "./actions";
import { phaseOf, pluginName, pluginVersion, stepOf } from "./describe";
import styles from "./TaskList.module.css";
import { waitingText } from "./waiting";

interface Props {
  task: TaskView;
  index: number;
  top: number;
  height: number;
  narrow: boolean;
  selected: boolean;
  toggle: (uid: string, range: boolean) => void;
}

/** One task. Rendered again only when the task itself changed. */
export const TaskRow = memo(function TaskRow(props: Props) {
  const { task, index, top, height, narrow, selected, toggle } = props;
  const place = { transform: `translateY(${top}px)`, height };
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={narrow ? styles.cardRow : styles.row}
      style={place}
      data-uid={task.uid}
      data-selected={selected || undefined}
    >
      <SelectCell task={task} selected={selected} toggle={toggle} />
      {narrow ? <CardCells task={task} /> : <RowCells task={task} />}
    </div>
  );
});

function SelectCell({ task, selected, toggle }: Pick<Props, "task" | "selected" | "toggle">) {
  const { t } = useWords();
  return (
    <Cell className={styles.check}>
      <label className={styles.hit}>
        <input
          type="checkbox"
          aria-label={t("bulk.choose", { name: task.name })}
          checked={selected}
          onClick={(event) => toggle(task.uid, event.shiftKey)}
          // Choosing is done on the click, which alone knows of the shift key.
          onChange={() => {}}
        />
      </label>
    </Cell>
  );
}

function RowCells({ task }: { task: TaskView }) {
  return (
    <>
      <Cell className={styles.plugin}>
        <NameLink task={task} />
        <span className={`${styles.taskName} mono`}>{task.name}</span>
      </Cell>
      <Cell className={styles.target}>
        <TargetText task={task} />
      </Cell>
      <Cell className={styles.state}>
        <StatusBadge phase={phaseOf(task)} />
        <StateDetail task={task} />
      </Cell>
      <Cell className={styles.created}>
        <Ago at={task.createdAt} />
      </Cell>
      <Cell className={styles.actions}>
        <DownloadLink task={task} />
      </Cell>
    </>
  );
}

function CardCells({ task }: { task: TaskView }) {
  return (
    <div className={styles.card}>
      <Cell className={styles.cardTop}>
        <NameLink task={task} />
        <StatusBadge phase={phaseOf(task)} />
      </Cell>
      <Cell className={styles.cardBottom}>
        <TargetText task={task} />
        <StateDetail task={task} />
        <Ago at={task.createdAt} />
      </Cell>
    </div>
  );
}

function Cell({ className, children }: { className: string | undefined; children: React.ReactNode }) {
  return (
    <div role="cell" className={className}>
      {children}
    </div>
  );
}

function NameLink({ task }: { task: TaskView }) {
  const version = pluginVersion(task);
  return (
    <Link href={taskPath(task)} className={styles.name ?? ""} title={pluginName(task)}>
      <span className={styles.nameText}>{pluginName(task)}</span>
      {version !== null && <span className={styles.version}>{version}</span>}
    </Link>
  );
}

function TargetText({ task }: { task: TaskView }) {
  const targets = task.spec.targets.map((target) => target.arch).join(", ");
  return (
    <span className={styles.targetText}>
      {targets} · Py {task.spec.python}
    </span>
  );
}

/** Beside the badge: the stage and its percentage while running, the reason after a failure. */
function StateDetail({ task }: { task: TaskView }) {
  const { t } = useWords();
  if (task.deleting) return <span className={styles.detail}>{t("list.deleting")}</span>;
  const phase = phaseOf(task);
  if (phase === "Failed" || phase === "Retrying") {
    const key = `reason.${task.status.reason}`;
    const text = isKey(key) ? t(key as "reason.Internal") : (task.status.reason ?? "");
    return (
      <span className={styles.detail} title={text}>
        {text}
      </span>
    );
  }
  const waiting = waitingText(task, t);
  if (waiting !== null) {
    return (
      <span className={styles.detail} title={waiting}>
        {waiting}
      </span>
    );
  }
  const step = phase === "Running" ? stepOf(task) : null;
  if (step === null) return null;
  return (
    <>
      <span className={styles.detail}>{t(`stage.${step.stage}`)}</span>
      {step.percent !== null && (
        <span className={styles.progress}>
          <span className={styles.track} aria-hidden="true">
            <span style={{ width: `${step.percent}%` }} />
          </span>
          {step.percent} %
        </span>
      )}
    </>
  );
}

function DownloadLink({ task }: { task: TaskView }) {
  const { t } = useWords();
  const artifacts = task.status.artifacts?.filter((each) => each.uri) ?? [];
  const [first] = artifacts;
  if (!first?.uri) return null;
  const many = artifacts.length > 1;
  const name = many ? `${task.name}.zip` : (first.name ?? task.name);
  const label = t("list.download", { name });
  return (
    <FileLink
      className={styles.download}
      href={many ? archiveUrl([task.uid]) : first.uri}
      name={name}
      label={label}
    >
      <Icon name="download" />
    </FileLink>
  );
}
