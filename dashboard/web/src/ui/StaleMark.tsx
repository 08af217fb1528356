import { useEffect, useState } from "react";
import { useWords } from "../i18n";
import { clock } from "../i18n/format";
import { useConnection } from "../realtime/live";
import { ANNOUNCE_AFTER_MS, connectionReason } from "./ConnectionIndicator";
import styles from "./ConnectionIndicator.module.css";
import { Icon } from "./Icon";

/** Whether something has been so for a while; a blip moves nothing on the page. */
function useLasting(is: boolean): boolean {
  const [lasts, setLasts] = useState(false);
  useEffect(() => {
    setLasts(false);
    if (!is) return;
    const timer = setTimeout(() => setLasts(true), ANNOUNCE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [is]);
  return is && lasts;
}

/** While not connected: from when the data is. */
export function StaleMark() {
  const { t, language } = useWords();
  const connection = useConnection();
  const { status } = connection;
  const lost = status === "reconnecting" || status === "disconnected";
  const lasts = useLasting(lost);
  if (connection.freshUntil === null || !(lasts || status === "error")) return null;
  const reason = connectionReason(connection, t);
  return (
    <p className={styles.stale} data-testid="stale">
      <Icon name="clock" />
      <span>
        {t("connection.asOf", { time: clock(connection.freshUntil, language) })}
        {reason !== null && ` · ${reason}`}
      </span>
    </p>
  );
}
