import type { ApiError } from "../api/client";
import { useWords } from "../i18n";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./CreateDialog.module.css";
import { type DraftField, fieldOf } from "./draft";
import { textOf } from "./prefill";
import type { Creating } from "./useCreate";
import type { Way } from "./ways";

/** What the server refused: beside its field where that can be told, else here; of many tasks each one. */
export function Refusals({ creating, way }: { creating: Creating; way: Way }) {
  const { t } = useWords();
  if (creating.kind !== "failed") return null;
  const single = refusalOf(creating);
  if (single !== null) {
    const field = fieldOf(single.field);
    return field === null || (field === "source" && way === "upload") ? <ProblemNote error={single} /> : null;
  }
  return (
    <div role="alert" className={styles.refusals}>
      <strong>{t("batch.some", { made: creating.made.length, failed: creating.failed.length })}</strong>
      <ul>
        {creating.failed.map(({ task, error }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list does not change
          <li key={index}>
            <span className="mono">{textOf(task.spec.source) ?? task.spec.source.upload?.key}</span>:{" "}
            {error.problem.detail} {error.problem.hint}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The one refusal there is, when nothing was made; null of many, which are listed. */
export function refusalOf(creating: Creating): ApiError | null {
  if (creating.kind !== "failed" || creating.made.length > 0 || creating.failed.length !== 1) return null;
  return creating.failed[0]?.error ?? null;
}

/** What the server said of one field, to be shown beside it. */
export function refusedField(refused: ApiError | null, field: DraftField | "source"): string | null {
  if (refused === null || fieldOf(refused.field) !== field) return null;
  return [refused.problem.detail, refused.problem.hint].filter(Boolean).join(" ");
}
