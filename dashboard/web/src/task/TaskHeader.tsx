import { Link } from "wouter";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { taskPath } from "../tasks/actions";
import { isFinal, phaseOf, pluginName, pluginVersion, RERUN_OF, sourceText } from "../tasks/describe";
import { listPath } from "../tasks/listAddress";
import { Icon } from "../ui/Icon";
import { StatusBadge } from "../ui/StatusBadge";
import { Ago, Elapsed, Moment } from "../ui/Times";
import { TaskActions } from "./TaskActions";
import styles from "./TaskPage.module.css";

export function TaskHeader({ task }: { task: TaskView }) {
  const { t } = useWords();
  const version = pluginVersion(task);
  return (
    <div className={styles.header}>
      <div className={styles.top}>
        <Link
          href={listPath()}
          className={styles.back ?? ""}
          aria-label={t("app.toTasks")}
          title={t("app.toTasks")}
        >
          <Icon name="back" size={18} />
        </Link>
        <h1>
          {pluginName(task)}
          {version !== null && <span className={styles.version}> {version}</span>}
        </h1>
        <StatusBadge phase={phaseOf(task)} />
        {task.spec.dryRun && <span className="muted">{t("task.dryRun")}</span>}
        <TaskActions task={task} />
      </div>
      <Summary task={task} />
    </div>
  );
}

function Summary({ task }: { task: TaskView }) {
  const { t } = useWords();
  const { spec, status, labels } = task;
  const rerunOf = labels[RERUN_OF];
  const source = sourceText(spec.source);
  return (
    <dl className={styles.summary}>
      <Fact term={t("task.name")}>
        <span className="mono">
          {task.namespace}/{task.name}
        </span>
      </Fact>
      <Fact term={t("task.targets")}>{spec.targets.map(({ arch }) => t(`target.${arch}`)).join(", ")}</Fact>
      <Fact term={t("task.python")}>{spec.python}</Fact>
      <Fact term={t("task.created")}>
        <Ago at={task.createdAt} />
      </Fact>
      {status.startTime && (
        <Fact term={t(isFinal(task) ? "task.took" : "task.running")}>
          <Elapsed from={status.startTime} to={status.completionTime} />
        </Fact>
      )}
      <Fact term={t("task.source")}>
        <span title={source}>{source}</span>
      </Fact>
      {spec.packageIndex?.url && <Fact term={t("task.mirror")}>{spec.packageIndex.url}</Fact>}
      {rerunOf && (
        <Fact term={t("task.rerunOf")}>
          <Link href={taskPath({ namespace: task.namespace, name: rerunOf })}>{rerunOf}</Link>
        </Fact>
      )}
      {status.expiresAt && (
        <Fact term={t("task.expires")}>
          <Moment at={status.expiresAt} />
        </Fact>
      )}
    </dl>
  );
}

function Fact({ term, children }: { term: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
