import { ActionIcon, Button, Menu } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { toApiError } from "../api/client";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes } from "../i18n/format";
import { useLive } from "../realtime/live";
import { type Action, actionsFor, clonePath, needsConfirmation, perform, taskPath } from "../tasks/actions";
import { isFinal, phaseOf, pluginName, pluginVersion, RERUN_OF, sourceText } from "../tasks/describe";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import { StatusBadge } from "../ui/StatusBadge";
import { useShortcuts } from "../ui/shortcuts";
import { Ago, Elapsed, Moment } from "../ui/Times";
import styles from "./TaskPage.module.css";

export function TaskHeader({ task }: { task: TaskView }) {
  const { t } = useWords();
  const version = pluginVersion(task);
  return (
    <div className={styles.header}>
      <div className={styles.top}>
        <Link href="/" className={styles.back ?? ""} aria-label={t("app.toTasks")} title={t("app.toTasks")}>
          <Icon name="back" size={18} />
        </Link>
        <h1>
          {pluginName(task)}
          {version !== null && <span className={styles.version}> {version}</span>}
        </h1>
        <StatusBadge phase={phaseOf(task)} />
        {task.spec.dryRun && <span className="muted">{t("task.dryRun")}</span>}
        <Actions task={task} />
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

function Actions({ task }: { task: TaskView }) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const { store } = useLive();
  const [asking, setAsking] = useState<"cancel" | "delete" | null>(null);
  const act = useMutation({
    mutationFn: (action: Action) => perform(action, task),
    onSuccess: (changed, action) => {
      setAsking(null);
      if (changed !== null) store.offer(changed);
      if (action === "delete") navigate("/");
      else if (changed !== null && changed.uid !== task.uid) navigate(taskPath(changed));
    },
  });
  const actions = actionsFor(task);
  const [first, ...rest] = actions;
  useShortcuts({
    c: actions.includes("cancel") ? () => start("cancel") : undefined,
    r: actions.includes("rerun") ? () => start("rerun") : undefined,
    Escape: () => navigate("/"),
  });
  const start = (action: Action) => {
    act.reset();
    if (needsConfirmation(action)) setAsking(action);
    else act.mutate(action);
  };
  if (first === undefined) return <span className="muted">{t("list.deleting")}</span>;
  return (
    <>
      <div className={styles.buttons}>
        <Button
          size="xs"
          variant={first === "rerun" && phaseOf(task) !== "Succeeded" ? "filled" : "default"}
          loading={act.isPending && asking === null}
          title={first === "rerun" ? t("action.rerun.hint") : undefined}
          onClick={() => start(first)}
        >
          {t(`action.${first}`)}
        </Button>
        {first === "rerun" && (
          <Button
            component={Link}
            href={clonePath(task)}
            size="xs"
            variant="default"
            title={t("action.clone.hint")}
          >
            {t("action.clone")}
          </Button>
        )}
        {rest.length > 0 && <More task={task} actions={rest} start={start} />}
      </div>
      {act.isError && asking === null && <ProblemNote error={toApiError(act.error)} />}
      <Confirmation
        task={task}
        asking={asking}
        busy={act.isPending}
        error={act.isError ? <ProblemNote error={toApiError(act.error)} /> : null}
        onConfirm={() => asking !== null && act.mutate(asking)}
        onClose={() => setAsking(null)}
      />
    </>
  );
}

interface MoreProps {
  task: TaskView;
  actions: Action[];
  start: (action: Action) => void;
}

function More({ task, actions, start }: MoreProps) {
  const { t } = useWords();
  return (
    <Menu position="bottom-end" width={180} withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <ActionIcon variant="default" size={30} aria-label={t("task.more")} title={t("task.more")}>
          <Icon name="more" size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {!isFinal(task) && (
          <Menu.Item component={Link} href={clonePath(task)} title={t("action.clone.hint")}>
            {t("action.clone")}
          </Menu.Item>
        )}
        {actions.map((action) => (
          <Menu.Item
            key={action}
            title={action === "suspend" ? t("action.suspend.hint") : undefined}
            onClick={() => start(action)}
            {...(action === "delete" ? { c: "var(--failed)" } : {})}
          >
            {t(`action.${action}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

interface ConfirmationProps {
  task: TaskView;
  asking: "cancel" | "delete" | null;
  busy: boolean;
  error: React.ReactNode;
  onConfirm: () => void;
  onClose: () => void;
}

/** Says what will happen, and names the file that is lost. */
function Confirmation({ task, asking, busy, error, onConfirm, onClose }: ConfirmationProps) {
  const { t, language } = useWords();
  const lost = (task.status.artifacts ?? []).filter((artifact) => artifact.name);
  return (
    <Dialog
      opened={asking !== null}
      onClose={onClose}
      title={asking === null ? "" : t(`action.${asking}.title`)}
      width={460}
    >
      {asking !== null && (
        <div className={styles.stack}>
          <p style={{ margin: 0 }}>{t(`action.${asking}.text`)}</p>
          {asking === "delete" && !isFinal(task) && <p style={{ margin: 0 }}>{t("action.delete.running")}</p>}
          {asking === "delete" &&
            lost.map((artifact) => (
              <p key={artifact.target} style={{ margin: 0, overflowWrap: "anywhere" }}>
                {t("action.delete.artifact", {
                  name: artifact.name ?? "",
                  size: bytes(artifact.sizeBytes ?? 0, language),
                })}
              </p>
            ))}
          {error}
          <div className={styles.buttons}>
            <Button variant="default" onClick={onClose} data-autofocus>
              {t("action.back")}
            </Button>
            <Button color="red" loading={busy} onClick={onConfirm}>
              {t(`action.${asking}.confirm`)}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
