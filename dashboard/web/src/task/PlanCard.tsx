import type { Plan } from "../api/types";
import { useWords } from "../i18n";
import { bytes, integer } from "../i18n/format";
import styles from "./TaskPage.module.css";

/** What a dry run found; it made no package. */
export function PlanCard({ plan }: { plan: Plan }) {
  const { t, language } = useWords();
  return (
    <section className={`card ${styles.stack}`} aria-label={t("plan.title")}>
      <h2>{t("plan.title")}</h2>
      <dl className="facts">
        {plan.packages != null && <Row term={t("plan.packages")} text={integer(plan.packages, language)} />}
        {plan.downloadBytes != null && (
          <Row term={t("plan.download")} text={bytes(plan.downloadBytes, language)} />
        )}
        {plan.builds != null && <Row term={t("plan.builds")} text={integer(plan.builds, language)} />}
        {plan.targets?.map((target) => (
          <Row
            key={target.arch}
            term={t("plan.size", { target: t(`target.${target.arch}`) })}
            text={`${bytes(target.sizeBytes ?? 0, language)}${target.overLimit ? ` · ${t("plan.overLimit")}` : ""}`}
          />
        ))}
        {plan.warnings && plan.warnings.length > 0 && (
          <Row term={t("plan.warnings")} text={plan.warnings.join(" ")} />
        )}
      </dl>
    </section>
  );
}

function Row({ term, text }: { term: string; text: string }) {
  return (
    <>
      <dt>{term}</dt>
      <dd>{text}</dd>
    </>
  );
}
