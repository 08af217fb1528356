import type { Phase } from "../api/types";
import { useWords } from "../i18n";
import { Icon, type IconName } from "./Icon";
import styles from "./StatusBadge.module.css";

type Look = "pending" | "running" | "succeeded" | "failed" | "warning";

const LOOKS: Record<Phase, { look: Look; icon: IconName; spin?: boolean }> = {
  Pending: { look: "pending", icon: "circle" },
  Queued: { look: "pending", icon: "clock" },
  Starting: { look: "running", icon: "spinner", spin: true },
  Running: { look: "running", icon: "half" },
  Retrying: { look: "warning", icon: "retry" },
  Suspended: { look: "pending", icon: "pause" },
  Cancelling: { look: "pending", icon: "spinner", spin: true },
  Succeeded: { look: "succeeded", icon: "check" },
  Failed: { look: "failed", icon: "cross" },
  Cancelled: { look: "pending", icon: "slashed" },
};

/** A task's phase as shape, colour and word. */
export function StatusBadge({ phase }: { phase: Phase }) {
  const { t } = useWords();
  const { look, icon, spin } = LOOKS[phase];
  return (
    <span className={`${styles.badge} ${styles[look]}`} data-phase={phase}>
      <Icon name={icon} spin={spin ?? false} />
      {t(`phase.${phase}`)}
    </span>
  );
}
