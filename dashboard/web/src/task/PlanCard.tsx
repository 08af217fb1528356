import type { Plan } from "../api/types";
import { useWords } from "../i18n";
import { bytes, integer } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { DIFY_PACKAGE_LIMIT } from "./difySettings";
import styles from "./TaskPage.module.css";

type Target = NonNullable<Plan["targets"]>[number];

/** What a dry run found; it made no package. */
export function PlanCard({ plan, inForm = false }: { plan: Plan; inForm?: boolean }) {
  const { t, language } = useWords();
  const warnings = plan.warnings ?? [];
  return (
    <section className={`card ${styles.stack}`} aria-label={t("plan.title")} data-testid="plan">
      <h2>{t(inForm ? "plan.found" : "plan.title")}</h2>
      <dl className="facts">
        {plan.packages != null && <Row term={t("plan.packages")}>{integer(plan.packages, language)}</Row>}
        {plan.downloadBytes != null && (
          <Row term={t("plan.download")}>{bytes(plan.downloadBytes, language)}</Row>
        )}
        {plan.builds != null && <Row term={t("plan.builds")}>{integer(plan.builds, language)}</Row>}
        {plan.targets?.map((target) => (
          <Row key={target.arch} term={t("plan.size", { target: t(`target.${target.arch}`) })}>
            <TargetSize target={target} />
          </Row>
        ))}
      </dl>
      {warnings.length > 0 && (
        <ul className={styles.warnings} aria-label={t("plan.warnings")}>
          {warnings.map((warning) => (
            <li key={warning}>
              <Icon name="warning" /> {warning}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** How large the package will be, and what must be changed for one of that size. */
function TargetSize({ target }: { target: Target }) {
  const { t, language } = useWords();
  if (target.sizeBytes == null) return "–";
  return (
    <>
      {bytes(target.sizeBytes, language)}
      {target.overLimit && <div className={styles.over}>{t("plan.overLimit")}</div>}
      {!target.overLimit && target.sizeBytes > DIFY_PACKAGE_LIMIT && (
        <div className="muted">{t("plan.overDify")}</div>
      )}
    </>
  );
}

function Row({ term, children }: { term: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </>
  );
}
