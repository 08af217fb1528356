import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import { api } from "../api/client";
import { session } from "../api/session";
import { useWords } from "../i18n";
import { useConnection, useLive } from "../realtime/live";
import { Icon } from "./Icon";
import note from "./Note.module.css";
import styles from "./SignIn.module.css";

const UNAUTHENTICATED = 4501;

/** Whether the server wants to know who this is, and does not yet; or does not any more. */
export function useMustSignIn(): boolean {
  const { status, lastClose } = useConnection();
  const left = useSyncExternalStore(session.subscribe, session.hasLeft);
  return left || (status === "error" && lastClose?.code === UNAUTHENTICATED);
}

export function useToken(): string | null {
  return useSyncExternalStore(session.subscribe, session.token);
}

/** Asks for the token; what is shown of the page waits until it is good. */
export function SignIn() {
  const { t } = useWords();
  const wasRefused = useToken() !== null;
  const mode = useQuery({ queryKey: ["config", "stranger"], queryFn: api.config }).data?.authMode;
  const live = useLive();
  return (
    <section className={`card ${styles.panel}`} aria-labelledby="sign-in">
      <Icon name="shield" size={30} />
      <h1 id="sign-in">{t("signIn.title")}</h1>
      <p>{t(mode === "kubernetes" ? "signIn.kubernetes" : "signIn.token")}</p>
      {mode === "kubernetes" && (
        <code className="code">kubectl create token SERVICEACCOUNT -n NAMESPACE</code>
      )}
      {wasRefused && (
        <p className={styles.fault} role="alert">
          {t("signIn.refused")}
        </p>
      )}
      <TokenForm
        action={t("signIn.action")}
        onToken={(token) => {
          session.set(token);
          live.retry();
        }}
      />
      <p className="muted">{t("signIn.kept")}</p>
    </section>
  );
}

/** The token ends soon: a new one is taken without losing the connection. */
export function TokenExpiring() {
  const { t } = useWords();
  const expiring = useSyncExternalStore(session.subscribe, session.isExpiring);
  if (!expiring) return null;
  return (
    <div className={`${note.note} ${note.warning}`} role="status" data-testid="token-expiring">
      <Icon name="clock" />
      <div className={note.body}>
        <span>{t("signIn.expiring")}</span>
        <TokenForm action={t("signIn.renew")} onToken={session.set} />
      </div>
    </div>
  );
}

function TokenForm({ action, onToken }: { action: string; onToken: (token: string) => void }) {
  const { t } = useWords();
  const [text, setText] = useState("");
  return (
    <form
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        const token = text.trim();
        setText("");
        if (token !== "") onToken(token);
      }}
    >
      <TextInput
        type="password"
        className={styles.field}
        aria-label={t("signIn.field")}
        placeholder={t("signIn.field")}
        autoComplete="off"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        data-autofocus
      />
      <Button type="submit">{action}</Button>
    </form>
  );
}
