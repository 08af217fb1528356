import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { useWords } from "../i18n";
import { Icon, type IconName } from "./Icon";
import styles from "./Toasts.module.css";

const SHOWN_MS = 8_000;
const MOST = 4;

export interface Toast {
  look: "succeeded" | "failed" | "pending";
  text: string;
  /** Where to look, with the words of the link. */
  link?: { href: string; text: string };
}

type Held = Toast & { id: number };

const Context = createContext<{ say: (toast: Toast) => void }>({ say: () => {} });
export const useToasts = () => useContext(Context);

const ICONS: Record<Toast["look"], IconName> = { succeeded: "check", failed: "cross", pending: "clock" };

/** Short notes at the edge of the page, read out politely; failures at once. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const [held, setHeld] = useState<readonly Held[]>([]);
  const say = useCallback((toast: Toast) => {
    setHeld((before) => [...before, { ...toast, id: (before.at(-1)?.id ?? 0) + 1 }].slice(-MOST));
  }, []);
  const drop = useCallback((id: number) => setHeld((before) => before.filter((each) => each.id !== id)), []);
  const value = useMemo(() => ({ say }), [say]);
  return (
    <Context.Provider value={value}>
      {children}
      <div className={styles.stack} data-testid="toasts">
        {/* Both regions are there from the start: what is put into a new one is often not read out. */}
        {(["status", "alert"] as const).map((role) => (
          <div key={role} role={role} className={styles.region}>
            {held
              .filter((each) => (each.look === "failed") === (role === "alert"))
              .map((each) => (
                <One key={each.id} toast={each} onEnd={() => drop(each.id)} />
              ))}
          </div>
        ))}
      </div>
    </Context.Provider>
  );
}

function One({ toast, onEnd }: { toast: Held; onEnd: () => void }) {
  const { t } = useWords();
  const [kept, keep] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the time begins anew when the pointer leaves
  useEffect(() => {
    if (kept) return;
    const timer = setTimeout(onEnd, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [kept]);
  return (
    // Looking at a note keeps it; there is nothing to do to it but what its own link and button do.
    // biome-ignore lint/a11y/noStaticElementInteractions: as said
    <div
      className={`${styles.toast} ${styles[toast.look]}`}
      onPointerEnter={() => keep(true)}
      onPointerLeave={() => keep(false)}
      onFocus={() => keep(true)}
      onBlur={() => keep(false)}
    >
      <Icon name={ICONS[toast.look]} />
      <span className={styles.text}>
        {toast.text}{" "}
        {toast.link && (
          <Link href={toast.link.href} onClick={onEnd}>
            {toast.link.text}
          </Link>
        )}
      </span>
      <button type="button" className={styles.close} aria-label={t("action.close")} onClick={onEnd}>
        <Icon name="cross" />
      </button>
    </div>
  );
}
