import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { isFinal } from "../tasks/describe";
import { CopyButton, CopyLine } from "../ui/CopyButton";
import styles from "./TaskPage.module.css";
import { kubectlFor, manifestOf } from "./yaml";

/** The task as kubectl knows it: everything the page does can be done there as well. */
export function YamlPanel({ task }: { task: TaskView }) {
  const { t } = useWords();
  const yaml = manifestOf(task);
  const commands = kubectlFor(task);
  const lines = [
    ["yaml.watch", commands.watch],
    ["yaml.describe", commands.describe],
    ["yaml.wait", commands.wait],
    ["yaml.logs", commands.logs],
    ["yaml.cancel", isFinal(task) ? null : commands.cancel],
  ] as const;
  return (
    <details className={`card ${styles.fold}`}>
      <summary>{t("yaml.title")}</summary>
      <div className={styles.stack}>
        <div>
          <div className="line">
            <span className={styles.label}>{t("yaml.apply")}</span>
            <CopyButton text={yaml} what="YAML" />
          </div>
          <pre className={styles.yaml} tabIndex={0}>
            {yaml}
          </pre>
        </div>
        {lines.map(
          ([key, command]) =>
            command !== null && (
              <div key={key}>
                <div className={styles.label}>{t(key)}</div>
                <CopyLine text={command} what={t(key)} />
              </div>
            ),
        )}
      </div>
    </details>
  );
}
