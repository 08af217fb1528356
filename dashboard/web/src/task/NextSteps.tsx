import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes } from "../i18n/format";
import { CopyButton, CopyLine } from "../ui/CopyButton";
import { asEnvFile, authorOf, type Setting, settingsFor } from "./settings";
import styles from "./TaskPage.module.css";

/** What is left to do in Dify, with the settings that this very package needs. The largest one of several decides. */
export function NextSteps({ task, signed }: { task: TaskView; signed: boolean }) {
  const { t, language } = useWords();
  const artifacts = task.status.artifacts ?? [];
  const largest = artifacts.reduce<(typeof artifacts)[number] | null>(
    (found, each) => ((each.sizeBytes ?? 0) > (found?.sizeBytes ?? -1) ? each : found),
    null,
  );
  if (largest === null) return null;
  const settings = settingsFor(largest, authorOf(task), signed);
  const why = (setting: Setting) =>
    setting.why === "size"
      ? t("next.why.size", { size: bytes(largest.sizeBytes ?? 0, language) })
      : t(`next.why.${setting.why}`);
  return (
    <section className={`card ${styles.stack}`} aria-label={t("next.title")}>
      <h2>{t("next.title")}</h2>
      <div>{t("next.intro")}</div>
      {settings.map((setting) => (
        <div key={setting.name}>
          <CopyLine text={`${setting.name}=${setting.value}`} what={setting.name} />
          <div className={styles.label}>{why(setting)}</div>
        </div>
      ))}
      {settings.length > 1 && (
        <div>
          <CopyButton text={asEnvFile(settings)} what={t("next.title")} label={t("next.copyAll")} />
        </div>
      )}
      <div className={styles.label}>{t(signed ? "next.key" : "next.signature")}</div>
    </section>
  );
}
