import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes } from "../i18n/format";
import { CopyButton, CopyLine } from "../ui/CopyButton";
import { DifyVersionField } from "../ui/DifyVersionField";
import { useTaste } from "../ui/taste";
import { Compatibility } from "./Compatibility";
import { difyOf } from "./dify";
import { asEnvFile, authorOf, type Setting, settingsFor } from "./difySettings";
import styles from "./NextSteps.module.css";

/** What is left to do in Dify, with the settings that this very package needs. The largest one of several decides. */
export function NextSteps({ task, signed }: { task: TaskView; signed: boolean }) {
  const { t, language } = useWords();
  const version = useTaste().dify;
  const dify = difyOf(version);
  const artifacts = task.status.artifacts ?? [];
  const largest = artifacts.reduce<(typeof artifacts)[number] | null>(
    (found, each) => ((each.sizeBytes ?? 0) > (found?.sizeBytes ?? -1) ? each : found),
    null,
  );
  if (largest === null) return null;
  const settings = settingsFor(largest, authorOf(task), signed, dify);
  const why = (setting: Setting) =>
    setting.why === "size"
      ? t("next.why.size", { size: bytes(largest.sizeBytes ?? 0, language) })
      : setting.why === "noOwnKeys"
        ? t("next.why.noOwnKeys", { version })
        : t(`next.why.${setting.why}`);
  return (
    <section className={`card ${styles.steps}`} aria-label={t("next.title")}>
      <div className={styles.head}>
        <h2>{t("next.title")}</h2>
        <DifyVersionField size="xs" />
      </div>
      <ol className={styles.list}>
        <li>
          {t("next.settings")}
          <ul className={styles.settings}>
            {settings.map((setting) => (
              <li key={setting.name}>
                <CopyLine text={`${setting.name}=${setting.value}`} what={setting.name} />
                <div className={styles.why}>{why(setting)}</div>
              </li>
            ))}
          </ul>
          {settings.length > 1 && (
            <CopyButton text={asEnvFile(settings)} what={t("next.title")} label={t("next.copyAll")} />
          )}
        </li>
        <li>{t("next.restart")}</li>
        <li>{t("next.install")}</li>
      </ol>
      <p className={styles.why}>{t(signed ? "next.key" : "next.signature")}</p>
      <Compatibility mode={task.spec.mode} artifacts={artifacts} version={version} />
    </section>
  );
}
