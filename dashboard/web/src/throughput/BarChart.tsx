import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { useIsNarrow } from "../ui/narrow";
import styles from "./ThroughputPage.module.css";
import type { Bucket } from "./throughput";
import { ticks } from "./throughput";

const [HEIGHT, LEFT, BOTTOM] = [240, 34, 26];

/** Bars of what ended in each stretch of time. The table beside it says the same in numbers. */
export function BarChart({ buckets, labels }: { buckets: readonly Bucket[]; labels: readonly string[] }) {
  const { t, language } = useWords();
  // The drawing shrinks with its width; a narrower one keeps its height, and its words.
  const narrow = useIsNarrow();
  const width = narrow ? 480 : 1100;
  const marks = ticks(Math.max(...buckets.map((bucket) => bucket.succeeded + bucket.failed)));
  const top = marks.at(-1) ?? 1;
  const step = (width - LEFT) / buckets.length;
  const y = (value: number) => (HEIGHT - BOTTOM - 6) * (1 - value / top) + 6;
  const every = Math.ceil(buckets.length / (narrow ? 5 : 8));
  return (
    <svg
      className={styles.chart}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={t("throughput.chart")}
    >
      {marks.map((mark) => (
        <g key={mark}>
          <line x1={LEFT} x2={width} y1={y(mark)} y2={y(mark)} className={styles.line} />
          <text x={LEFT - 8} y={y(mark) + 4} textAnchor="end" className={styles.tick}>
            {integer(mark, language)}
          </text>
        </g>
      ))}
      {buckets.map((bucket, index) => {
        const x = LEFT + index * step + step * 0.15;
        const wide = step * 0.7;
        const both = bucket.succeeded + bucket.failed;
        return (
          <g key={bucket.from}>
            <title>
              {labels[index]}: {t("throughput.succeeded")} {bucket.succeeded}, {t("throughput.failed")}{" "}
              {bucket.failed}
            </title>
            <rect
              x={LEFT + index * step}
              y={0}
              width={step}
              height={HEIGHT - BOTTOM}
              className={styles.hit}
            />
            <rect
              x={x}
              y={y(bucket.succeeded)}
              width={wide}
              height={y(0) - y(bucket.succeeded)}
              className={styles.good}
            />
            <rect
              x={x}
              y={y(both)}
              width={wide}
              height={y(bucket.succeeded) - y(both)}
              className={styles.bad}
            />
            {index % every === 0 && (
              <text x={x + wide / 2} y={HEIGHT - 6} textAnchor="middle" className={styles.tick}>
                {labels[index]}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}
