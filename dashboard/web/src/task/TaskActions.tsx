import { ActionIcon, Button, Menu } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { toApiError } from "../api/client";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../realtime/live";
import { type Action, actionsFor, clonePath, needsConfirmation, perform, taskPath } from "../tasks/actions";
import { isFinal, phaseOf } from "../tasks/describe";
import { listPath } from "../tasks/listAddress";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import { useShortcuts } from "../ui/shortcuts";
import { ConfirmAction } from "./ConfirmAction";
import styles from "./TaskPage.module.css";

/** What can be done to the task now: the most likely action as a button, the others in a menu. */
export function TaskActions({ task }: { task: TaskView }) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const { store } = useLive();
  const [asking, setAsking] = useState<"cancel" | "delete" | null>(null);
  const act = useMutation({
    mutationFn: (action: Action) => perform(action, task),
    onSuccess: (changed, action) => {
      setAsking(null);
      if (changed !== null) store.offer(changed);
      if (action === "delete") navigate(listPath());
      else if (changed !== null && changed.uid !== task.uid) navigate(taskPath(changed));
    },
  });
  const actions = actionsFor(task);
  const [first, ...rest] = actions;
  useShortcuts({
    c: actions.includes("cancel") ? () => start("cancel") : undefined,
    r: actions.includes("rerun") ? () => start("rerun") : undefined,
    Escape: () => navigate(listPath()),
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
      <ConfirmAction
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
