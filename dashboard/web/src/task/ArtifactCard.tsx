import type { Artifact, Verification } from "../api/types";
import { isKey, type Translate, useWords } from "../i18n";
import { bytes, integer } from "../i18n/format";
import { CopyLine } from "../ui/CopyButton";
import { FileLink } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { Moment } from "../ui/Times";
import styles from "./ArtifactCard.module.css";

/** One finished package: what it is, how it was verified, how to check it after copying. */
export function ArtifactCard({ artifact, beside }: { artifact: Artifact; beside: readonly string[] }) {
  const { t, language } = useWords();
  const { name, sha256, sizeBytes, uri, verification, wheels } = artifact;
  return (
    <section
      className={`card ${styles.artifact}`}
      aria-label={`${t("artifact.title")} ${t(`target.${artifact.target}`)}`}
    >
      <div className={styles.head}>
        <h2>{t("artifact.title")}</h2>
        <span className="muted">{t(`target.${artifact.target}`)}</span>
      </div>
      <div className={styles.file}>
        <span className={`${styles.name} mono`}>{name}</span>
        {uri ? (
          <FileLink className={styles.download} href={uri} name={name ?? "package.difypkg"}>
            <Icon name="download" /> {t("artifact.download")}
          </FileLink>
        ) : (
          <span className="muted">{t("artifact.missing")}</span>
        )}
      </div>
      <dl className="facts">
        {sizeBytes != null && (
          <>
            <dt>{t("artifact.size")}</dt>
            <dd title={`${integer(sizeBytes, language)} B`}>{bytes(sizeBytes, language)}</dd>
          </>
        )}
        {wheels != null && (
          <>
            <dt>{t("artifact.wheels")}</dt>
            <dd>{integer(wheels, language)}</dd>
          </>
        )}
      </dl>
      {verification?.passed && <Verified verification={verification} />}
      {uri && beside.length > 0 && (
        <p className={styles.beside}>
          <span className={styles.label}>{t("artifact.beside")}</span>
          {beside.map((kind) => (
            <FileLink key={kind} href={`${uri}/${kind}`} name={`${name}.${kind}`}>
              {nameOf(kind, t)}
            </FileLink>
          ))}
        </p>
      )}
      {sha256 && (
        <>
          <div>
            <div className={styles.label}>{t("artifact.sha256")}</div>
            <CopyLine text={sha256} what={t("artifact.sha256")} />
          </div>
          <div>
            <div className={styles.label}>{t("artifact.check")}</div>
            <CopyLine text={`echo "${sha256}  ${name ?? ""}" | sha256sum -c`} what={t("artifact.check")} />
          </div>
        </>
      )}
    </section>
  );
}

/** What a file beside a package is called; one that is not known goes by its own name. */
function nameOf(kind: string, t: Translate): string {
  const key = `artifact.beside.${kind}`;
  return isKey(key) ? t(key as "artifact.beside.report.json") : kind;
}

/** The method in words: a weaker one is called weaker. */
function Verified({ verification }: { verification: Verification }) {
  const { t } = useWords();
  const { message, method, verifiedAt } = verification;
  const key = `verification.${method}`;
  const strong = method === "NetworkNamespace" || method === "SeccompFilter";
  return (
    <div className={strong ? styles.strong : styles.weak} data-method={method}>
      <Icon name={strong ? "shield" : "warning"} size={18} />
      <div>
        <strong>
          {t("artifact.verified")} · {t(strong ? "verification.strong" : "verification.weak")}
        </strong>
        <p>{isKey(key) ? t(key as "verification.strong") : t("verification.unknown", { method })}</p>
        {message && (
          <details className={styles.found}>
            <summary>
              {t("verification.details")}
              {verifiedAt && <Moment at={verifiedAt} />}
            </summary>
            <p>{message.replaceAll("`", "")}</p>
          </details>
        )}
      </div>
    </div>
  );
}
