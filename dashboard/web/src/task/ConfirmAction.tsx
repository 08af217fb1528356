import { Button } from "@mantine/core";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes } from "../i18n/format";
import { isFinal } from "../tasks/describe";
import { Dialog } from "../ui/Dialog";
import styles from "./TaskPage.module.css";

interface Props {
  task: TaskView;
  asking: "cancel" | "delete" | null;
  busy: boolean;
  error: React.ReactNode;
  onConfirm: () => void;
  onClose: () => void;
}

/** Says what will happen, and names the file that is lost. */
export function ConfirmAction({ task, asking, busy, error, onConfirm, onClose }: Props) {
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
          <p>{t(`action.${asking}.text`)}</p>
          {asking === "delete" && !isFinal(task) && <p>{t("action.delete.running")}</p>}
          {asking === "delete" &&
            lost.map((artifact) => (
              <p key={artifact.target}>
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
