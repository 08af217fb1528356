import { useWords } from "../i18n";
import { duration, toMillis } from "../i18n/format";
import { useOperatorHealth } from "../realtime/live";
import { useNow } from "./clock";
import { Icon } from "./Icon";
import styles from "./Note.module.css";

/** Says that states may be old because the operator is silent. It goes away by itself. */
export function OperatorBanner() {
  const { t, language } = useWords();
  const health = useOperatorHealth();
  const now = useNow();
  if (health.state !== "Stale") return null;
  const heard = toMillis(health.lastHeardAt);
  return (
    <div className={`${styles.note} ${styles.warning}`} role="status" data-testid="operator-stale">
      <Icon name="warning" />
      <span className={styles.body}>
        {heard === null
          ? t("operator.staleEver")
          : t("operator.stale", { time: duration(now - heard, language) })}
      </span>
    </div>
  );
}
