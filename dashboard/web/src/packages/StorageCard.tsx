import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, toApiError } from "../api/client";
import type { StorageReport } from "../api/types";
import { useWords } from "../i18n";
import { bytes, integer, spell } from "../i18n/format";
import { useTasks } from "../realtime/live";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./PackagesPage.module.css";

const KINDS = ["packages", "uploads", "logs", "leaving"] as const;

/** What lies on the volume, when it goes, and how much more fits. */
export function StorageCard({ count }: { count: number }) {
  const { t } = useWords();
  // Not before the server has let us in; asked again when a package came or went.
  const { loaded } = useTasks();
  const report = useQuery({
    queryKey: ["storage", count],
    enabled: loaded,
    queryFn: api.storage,
    placeholderData: (old) => old,
  });
  return (
    <section className={`card ${styles.storage}`} aria-label={t("storage.title")}>
      <h2>{t("storage.title")}</h2>
      {report.isPending && <Skeleton height={90} />}
      {report.isError && <ProblemNote error={toApiError(report.error)} title={t("storage.failed")} />}
      {report.data && <Figures report={report.data} />}
    </section>
  );
}

function Figures({ report }: { report: StorageReport }) {
  const { t, language } = useWords();
  const volume = volumeOf(report);
  return (
    <>
      <dl className={styles.kinds}>
        {KINDS.map((kind) => (
          <div key={kind} data-kind={kind}>
            <dt>{t(`storage.${kind}`)}</dt>
            <dd>{bytes(report[kind].sizeBytes, language)}</dd>
            <dd className="muted">{t("storage.files", { n: integer(report[kind].files, language) })}</dd>
          </div>
        ))}
        {volume && (
          <div>
            <dt>{t("storage.free")}</dt>
            <dd>{bytes(volume.free, language)}</dd>
            <dd className="muted">{t("storage.of", { size: bytes(volume.total, language) })}</dd>
          </div>
        )}
      </dl>
      {volume && (
        <svg className={styles.gauge} viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden="true">
          <rect width="100" height="2" className={styles.track} />
          <rect
            width={Math.max(0.5, volume.share * 100)}
            height="2"
            className={volume.share > 0.9 ? styles.full : styles.used}
          />
        </svg>
      )}
      <ul className={styles.rules}>
        <li>{t("storage.rule.task")}</li>
        <li>{t("storage.rule.grace", { time: spell(report.retentionSeconds, language) })}</li>
        <li>
          {t("storage.rule.limits", {
            upload: bytes(report.maxUploadBytes, language),
            artifact: bytes(report.maxArtifactBytes, language),
          })}
        </li>
      </ul>
    </>
  );
}

/** The volume that the files lie on; an object store has no end, and nothing is said of one. */
function volumeOf({ volumeBytes: total, freeBytes: free }: StorageReport) {
  return total == null || free == null
    ? null
    : { total, free, share: total > 0 ? (total - free) / total : 0 };
}
