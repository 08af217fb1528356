import { Button } from "@mantine/core";
import { useState } from "react";
import { type ApiError, archiveUrl, toApiError } from "../api/client";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes, integer } from "../i18n/format";
import { useLive } from "../realtime/live";
import { Dialog } from "../ui/Dialog";
import { useSave } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { useToasts } from "../ui/Toasts";
import { type Action, actionsFor, needsConfirmation, perform } from "./actions";
import styles from "./BulkBar.module.css";
import { inParallel } from "./parallel";
import type { Chosen } from "./useSelection";

const BULK: readonly Action[] = ["rerun", "cancel", "delete"];
/** The server gives so many packages in one archive. */
const MOST_IN_ARCHIVE = 200;

/** What can be done to all chosen tasks; each button says of how many. */
export default function BulkBar({ chosen }: { chosen: Chosen }) {
  const { t, language } = useWords();
  const [asking, setAsking] = useState<Action | null>(null);
  const bulk = useBulk(chosen);
  const save = useSave();
  const { tasks } = chosen;
  if (tasks.length === 0 && bulk.failed.length === 0) return null;
  const able = (action: Action) => tasks.filter((task) => actionsFor(task).includes(action));
  const packed = tasks.filter((task) => task.status.artifacts?.some((artifact) => artifact.uri));
  const start = (action: Action) =>
    needsConfirmation(action) ? setAsking(action) : void bulk.run(action, able(action));
  return (
    <>
      <section className={styles.bar} aria-label={t("bulk.title")}>
        <div className={styles.count}>
          <strong role="status">{t("bulk.chosen", { n: integer(tasks.length, language) })}</strong>
          <Button size="compact-sm" variant="subtle" onClick={chosen.clear}>
            {t("bulk.clear")}
          </Button>
        </div>
        {packed.length > 0 && (
          <Button
            size="xs"
            variant="default"
            leftSection={<Icon name="download" />}
            disabled={packed.length > MOST_IN_ARCHIVE}
            loading={save.busy}
            onClick={() =>
              void save.start(archiveUrl(packed.map((task) => task.uid)), "dify-offline-packages.zip")
            }
          >
            {t("bulk.download")} {integer(packed.length, language)}
          </Button>
        )}
        {BULK.filter((action) => able(action).length > 0).map((action) => (
          <Button
            key={action}
            size="xs"
            variant="default"
            className={action === "delete" ? styles.danger : undefined}
            disabled={bulk.busy !== null}
            loading={bulk.busy === action}
            onClick={() => start(action)}
          >
            {t(`action.${action}`)} {integer(able(action).length, language)}
          </Button>
        ))}
      </section>
      {asking !== null && (
        <Sure
          action={asking}
          tasks={able(asking)}
          onClose={() => setAsking(null)}
          onSure={() => {
            setAsking(null);
            void bulk.run(asking, able(asking));
          }}
        />
      )}
      {bulk.failed.length > 0 && <Failures failed={bulk.failed} onClose={bulk.forget} />}
    </>
  );
}

interface FailedOne {
  task: TaskView;
  error: ApiError;
}

/** Does one thing to many tasks; what fails is kept to be told, the others go on. */
function useBulk(chosen: Chosen) {
  const { t, language } = useWords();
  const { store } = useLive();
  const { say } = useToasts();
  const [busy, setBusy] = useState<Action | null>(null);
  const [failed, setFailed] = useState<readonly FailedOne[]>([]);
  const run = async (action: Action, tasks: readonly TaskView[]) => {
    setBusy(action);
    const refused: FailedOne[] = [];
    await inParallel(tasks, async (task) => {
      try {
        const changed = await perform(action, task);
        if (changed !== null) store.offer(changed);
      } catch (error) {
        refused.push({ task, error: toApiError(error) });
      }
    });
    setBusy(null);
    setFailed(refused);
    if (refused.length === 0) {
      chosen.clear();
      say({ look: "pending", text: t(`bulk.done.${action}`, { n: integer(tasks.length, language) }) });
    }
  };
  return { busy, failed, run, forget: () => setFailed([]) };
}

interface SureProps {
  action: Action;
  tasks: readonly TaskView[];
  onSure: () => void;
  onClose: () => void;
}

function Sure({ action, tasks, onSure, onClose }: SureProps) {
  const { t, language } = useWords();
  const files = tasks.flatMap((task) => task.status.artifacts ?? []).filter((artifact) => artifact.uri);
  const size = files.reduce((sum, artifact) => sum + (artifact.sizeBytes ?? 0), 0);
  const n = integer(tasks.length, language);
  return (
    <Dialog
      opened
      onClose={onClose}
      title={t(action === "delete" ? "bulk.delete.title" : "bulk.cancel.title", { n })}
      width={460}
    >
      <div className={styles.sure}>
        <p>{t(action === "delete" ? "bulk.delete.text" : "bulk.cancel.text")}</p>
        {action === "delete" && files.length > 0 && (
          <p>{t("bulk.delete.files", { n: integer(files.length, language), size: bytes(size, language) })}</p>
        )}
        <div className={styles.buttons}>
          <Button variant="default" onClick={onClose} data-autofocus>
            {t("action.back")}
          </Button>
          <Button color="red" onClick={onSure}>
            {t(`action.${action}`)} {n}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function Failures({ failed, onClose }: { failed: readonly FailedOne[]; onClose: () => void }) {
  const { t, language } = useWords();
  return (
    <Dialog
      opened
      onClose={onClose}
      title={t("bulk.failed", { n: integer(failed.length, language) })}
      width={560}
    >
      <ul className={styles.failures}>
        {failed.map(({ task, error }) => (
          <li key={task.uid}>
            <span className="mono">{task.name}</span>: {error.problem.detail} {error.problem.hint}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
