import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, toApiError } from "../api/client";
import type { PodSight, TaskSights, TaskView } from "../api/types";
import { isKey, useWords } from "../i18n";
import { isFinal, phaseOf } from "../tasks/describe";
import { Icon } from "../ui/Icon";
import note from "../ui/Note.module.css";
import { ProblemNote } from "../ui/ProblemNote";
import { Ago } from "../ui/Times";
import styles from "./TaskPage.module.css";

const ASK_AGAIN_MS = 5_000;
const ORDINARY = new Set(["ContainerCreating", "PodInitializing"]);

/** Asked only while somebody looks: as long as a task waits for its Pod, and when the section is opened. */
function useSights(task: TaskView, wanted: boolean) {
  return useQuery({
    queryKey: ["sights", task.uid, task.status.attempt ?? 0],
    queryFn: () => api.sights(task.uid),
    enabled: wanted,
    refetchInterval: isFinal(task) ? false : ASK_AGAIN_MS,
    staleTime: 0,
    retry: false,
  });
}

/** Why a Pod does not run, in words: nobody should need kubectl to read ImagePullBackOff. */
export function PodTrouble({ task }: { task: TaskView }) {
  const { t } = useWords();
  const waits = phaseOf(task) === "Starting";
  const { data } = useSights(task, waits);
  const pod = waits ? data?.pods.find((each) => each.reason && !ORDINARY.has(each.reason)) : undefined;
  if (!pod?.reason) return null;
  const key = `reason.${familyOf(pod.reason)}`;
  const hint = `hint.${familyOf(pod.reason)}`;
  return (
    <div className={`${note.note} ${note.warning}`} role="status" data-testid="pod-trouble">
      <Icon name="warning" />
      <div className={note.body}>
        <strong>
          {isKey(key) ? t(key as "reason.Internal") : t("reason.other", { reason: pod.reason })}
        </strong>
        <span className={`${note.message} ${note.plain}`}>
          <span className="mono">{pod.reason}</span>
          {pod.message ? `: ${pod.message}` : pod.image ? `: ${pod.image}` : ""}
        </span>
        {isKey(hint) && <span className={note.plain}>{t(hint as "hint.Internal")}</span>}
        <span className={note.plain}>
          {t("sights.deadline", { seconds: task.spec.pendingDeadlineSeconds })}
        </span>
      </div>
    </div>
  );
}

/** The kubelet has several names for one trouble. */
function familyOf(reason: string): string {
  if (/^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull)$/.test(reason))
    return "ImagePullBackOff";
  if (/^Create(Container|ContainerConfig)Error$/.test(reason)) return "CreateContainerConfigError";
  return reason;
}

/** Pods and Events as `kubectl describe` tells them, when somebody opens them. */
export function Sights({ task }: { task: TaskView }) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  const sights = useSights(task, open);
  return (
    <details className={`card ${styles.fold}`} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("sights.title")}</summary>
      {sights.isError && <ProblemNote error={toApiError(sights.error)} />}
      {sights.data && <Told sights={sights.data} />}
      {sights.isPending && open && <p className="muted">{t("task.loading")}</p>}
    </details>
  );
}

function Told({ sights }: { sights: TaskSights }) {
  const { t } = useWords();
  const { pods, events, missing } = sights;
  return (
    <div className={styles.stack}>
      {(missing ?? []).length > 0 && (
        <p className="muted">{t("sights.missing", { what: (missing ?? []).join(", ") })}</p>
      )}
      {pods.length > 0 && <Pods pods={pods} />}
      {events.length === 0 ? (
        <p className="muted">{t("sights.none")}</p>
      ) : (
        <div className={styles.scroll} role="region" aria-label="Events" tabIndex={0}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">{t("sights.seen")}</th>
                <th scope="col">{t("sights.about")}</th>
                <th scope="col">{t("sights.reason")}</th>
                <th scope="col">{t("attempts.message")}</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: Events have no key of their own here
                <tr key={index} data-type={event.type}>
                  <td className={styles.moment}>
                    <Ago at={event.lastSeen} />
                    {event.count > 1 && ` ×${event.count}`}
                  </td>
                  <td>
                    {event.kind} <span className="mono">{event.name}</span>
                  </td>
                  <td>
                    {event.type === "Warning" && <Icon name="warning" />} {event.reason}
                  </td>
                  <td>{event.message}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Pods({ pods }: { pods: readonly PodSight[] }) {
  const { t } = useWords();
  return (
    <div className={styles.scroll} role="region" aria-label="Pods" tabIndex={0}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">Pod</th>
            <th scope="col">{t("sights.phase")}</th>
            <th scope="col">Node</th>
            <th scope="col">{t("sights.reason")}</th>
          </tr>
        </thead>
        <tbody>
          {pods.map((pod) => (
            <tr key={pod.name}>
              <td className="mono">{pod.name}</td>
              <td className={styles.moment}>{pod.phase}</td>
              <td>{pod.node ?? "–"}</td>
              <td>
                {pod.reason ? <span className="mono">{pod.reason}</span> : "–"} {pod.message}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
