import { Button } from "@mantine/core";
import { useEffect, useState } from "react";
import { type Translate, useWords } from "../i18n";
import { useConnection, useLive } from "../realtime/live";
import type { Connection } from "../realtime/state";
import styles from "./ConnectionIndicator.module.css";
import { useNow } from "./clock";
import { Icon, type IconName } from "./Icon";

export const ANNOUNCE_AFTER_MS = 2_000;

const ICONS: Record<Connection["status"], { icon: IconName; spin?: boolean }> = {
  connecting: { icon: "spinner", spin: true },
  connected: { icon: "check" },
  reconnecting: { icon: "spinner", spin: true },
  disconnected: { icon: "slashed" },
  error: { icon: "warning" },
};

/** The words for a connection; pure, so that each state is tested without a browser. */
export function connectionText(connection: Connection, now: number, t: Translate): string {
  switch (connection.status) {
    case "connecting":
      return t("connection.connecting");
    case "connected":
      return t("connection.connected");
    case "disconnected":
      return t("connection.disconnected");
    case "error":
      return errorText(connection, t);
    case "reconnecting": {
      if (!connection.online) return t("connection.offline");
      const attempt = connection.failures + 1;
      const { link } = connection;
      if (link.kind !== "waiting" || !Number.isFinite(link.at))
        return t("connection.reconnecting", { attempt });
      const seconds = Math.max(1, Math.ceil((link.at - now) / 1000));
      return t("connection.reconnectingIn", { attempt, seconds });
    }
  }
}

/** The server that refuses somebody is reached very well: then the words say what it wants. */
function errorText(connection: Connection, t: Translate): string {
  const code = connection.heals ? 0 : connection.lastClose?.code;
  return code === 4501 || code === 4503 || code === 4506
    ? t(`connection.refused.${code}`)
    : t("connection.error");
}

/** Why it does not come back by itself, or how it does. */
export function connectionReason(connection: Connection, t: Translate): string | null {
  if (connection.status !== "error") return null;
  if (connection.heals) return t("connection.reason.healing");
  const code = connection.lastClose?.code ?? 0;
  if (code === 4501 || code === 4503 || code === 4506) return t(`connection.reason.${code}`);
  return t("connection.reason.terminal", { code });
}

export function ConnectionIndicator() {
  const { t } = useWords();
  const connection = useConnection();
  const live = useLive();
  const now = useNow();
  const { icon, spin } = ICONS[connection.status];
  const action = actionOf(connection, t);
  return (
    <div className={styles.indicator} data-status={connection.status}>
      <span
        className={styles.pill}
        title={connectionReason(connection, t) ?? undefined}
        data-testid="connection"
      >
        {connection.status === "connected" ? (
          <span className={styles.dot} />
        ) : (
          <Icon name={icon} spin={spin ?? false} />
        )}
        <span className={styles.text}>{connectionText(connection, now, t)}</span>
      </span>
      {action !== null && (
        <Button
          size="compact-xs"
          variant={connection.status === "error" ? "filled" : "default"}
          onClick={live.retry}
        >
          {action}
        </Button>
      )}
      <Announcement connection={connection} />
    </div>
  );
}

function actionOf(connection: Connection, t: Translate): string | null {
  switch (connection.status) {
    case "reconnecting":
      return connection.link.kind === "waiting" ? t("connection.retryNow") : null;
    case "disconnected":
      return t("connection.connect");
    case "error":
      return t("connection.retry");
    default:
      return null;
  }
}

/** Says a change once and only when it lasts, so that a blip is silent. */
function Announcement({ connection }: { connection: Connection }) {
  const { t } = useWords();
  const [said, setSaid] = useState("");
  const { status } = connection;
  useEffect(() => {
    const words = {
      connecting: "",
      connected: t("connection.connected"),
      reconnecting: t("connection.reconnecting", { attempt: 1 }),
      disconnected: t("connection.disconnected"),
      error: t("connection.error"),
    }[status];
    const timer = setTimeout(() => setSaid(words), ANNOUNCE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [status, t]);
  return (
    <span role="status" className="unseen">
      {said}
    </span>
  );
}
