import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { api } from "../api/client";
import type { EndedTask } from "../api/types";
import { useWords } from "../i18n";
import { duration, integer, type Language } from "../i18n/format";
import { useTasks } from "../realtime/live";
import { reasonText } from "../task/FailureNote";
import { useNow } from "../ui/clock";
import { Segments } from "../ui/Segments";
import { StaleMark } from "../ui/StaleMark";
import { BarChart } from "./BarChart";
import styles from "./ThroughputPage.module.css";
import { type Bucket, endedOf, SPANS, type Span, type Throughput, throughputOf } from "./throughput";

const SPAN_NAMES = Object.keys(SPANS) as Span[];
const MINUTE = 60_000;

/** How many tasks end, how long they take and why they fail: people look here when something is slow. */
export default function ThroughputPage() {
  const { t, language } = useWords();
  const [span, setSpan] = useState<Span>("day");
  const minute = Math.floor(useNow() / MINUTE);
  const ended = useEnded();
  const found = useMemo(() => throughputOf(ended, span, minute * MINUTE), [ended, span, minute]);
  const labels = found.buckets.map((bucket) => labelOf(bucket, span, language));
  return (
    <div className={styles.page}>
      <StaleMark />
      <div className={styles.head}>
        <h1>{t("throughput.title")}</h1>
        <Segments
          label={t("throughput.span")}
          value={span}
          onChange={setSpan}
          options={SPAN_NAMES.map((value) => ({ value, label: t(`throughput.span.${value}`) }))}
        />
      </div>
      <Figures found={found} />
      <section className={`card ${styles.stack}`} aria-label={t("throughput.ended")}>
        <div className={styles.legend}>
          <h2>{t("throughput.ended")}</h2>
          <span className={styles.keyGood}>{t("throughput.succeeded")}</span>
          <span className={styles.keyBad}>{t("throughput.failed")}</span>
        </div>
        <BarChart buckets={found.buckets} labels={labels} />
        <Table buckets={found.buckets} labels={labels} />
      </section>
      <Reasons found={found} />
      <p className="muted">{t("throughput.scope")}</p>
    </div>
  );
}

/** What ended: live from the tasks that exist, and from the server's memory of those that were deleted. */
function useEnded(): EndedTask[] {
  const { tasks, loaded } = useTasks();
  const gone = useQuery({
    queryKey: ["history", tasks.length],
    queryFn: api.history,
    enabled: loaded,
    placeholderData: keepPreviousData,
    refetchInterval: MINUTE,
    retry: false,
  });
  return useMemo(() => endedOf(tasks, gone.data ?? []), [tasks, gone.data]);
}

function labelOf(bucket: Bucket, span: Span, language: Language): string {
  const options: Intl.DateTimeFormatOptions =
    span === "day"
      ? { hour: "2-digit", minute: "2-digit", hour12: false }
      : { month: "numeric", day: "numeric", hour: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(language, options).format(bucket.from);
}

function Figures({ found }: { found: Throughput }) {
  const { t, language } = useWords();
  const ended = found.succeeded + found.failed;
  const time = (value: number | null) => (value === null ? "–" : duration(value, language));
  const figures = [
    ["throughput.ended", integer(ended, language)],
    ["throughput.rate", ended === 0 ? "–" : `${Math.round((100 * found.succeeded) / ended)} %`],
    ["throughput.median", time(found.median)],
    ["throughput.p90", time(found.p90)],
    ["throughput.wait", time(found.medianWait)],
  ] as const;
  return (
    <dl className={`card ${styles.figures}`}>
      {figures.map(([key, value]) => (
        <div key={key}>
          <dt>{t(key)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Table({ buckets, labels }: { buckets: readonly Bucket[]; labels: readonly string[] }) {
  const { t, language } = useWords();
  const told = buckets.map((bucket, index) => ({ bucket, label: labels[index] })).reverse();
  const some = told.filter(({ bucket }) => bucket.succeeded + bucket.failed > 0);
  return (
    <details>
      <summary>{t("throughput.table")}</summary>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">{t("throughput.from")}</th>
            <th scope="col">{t("throughput.succeeded")}</th>
            <th scope="col">{t("throughput.failed")}</th>
          </tr>
        </thead>
        <tbody>
          {some.map(({ bucket, label }) => (
            <tr key={bucket.from}>
              <th scope="row">{label}</th>
              <td>{integer(bucket.succeeded, language)}</td>
              <td>{integer(bucket.failed, language)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {some.length === 0 && <p className="muted">{t("throughput.none")}</p>}
    </details>
  );
}

function Reasons({ found }: { found: Throughput }) {
  const { t, language } = useWords();
  const most = found.reasons[0]?.n ?? 1;
  return (
    <section className={`card ${styles.stack}`} aria-label={t("throughput.reasons")}>
      <h2>{t("throughput.reasons")}</h2>
      {found.reasons.length === 0 && <p className="muted">{t("throughput.noFailure")}</p>}
      <ul className={styles.reasons}>
        {found.reasons.map(({ reason, n }) => (
          <li key={reason}>
            <Link href={`/?phase=Failed&q=${encodeURIComponent(reason)}`}>{reasonText(reason, t)}</Link>
            <span className={styles.amount}>{integer(n, language)}</span>
            <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" className={styles.share}>
              <rect width={(100 * n) / most} height="4" className={styles.bad} />
            </svg>
          </li>
        ))}
      </ul>
    </section>
  );
}
