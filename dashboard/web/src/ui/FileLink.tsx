import { type ReactNode, useState } from "react";
import { api, toApiError } from "../api/client";
import { session } from "../api/session";
import { useWords } from "../i18n";
import { useToasts } from "./Toasts";

interface Props {
  href: string;
  /** The name that the file gets on the user's disk. */
  name: string;
  className?: string | undefined;
  label?: string | undefined;
  children: ReactNode;
}

/**
 * A download by a plain link, which the browser can go on with when it was cut. A link carries no header, so a signed-in
 * user's browser first gets a ticket for this one address (a cookie that no script reads).
 */
export function FileLink({ href, name, className, label, children }: Props) {
  const save = useSave();
  return (
    <a
      className={className}
      href={href}
      download={name}
      aria-label={label}
      title={label}
      aria-busy={save.busy || undefined}
      onClick={(event) => {
        event.stopPropagation();
        if (session.token() === null) return;
        event.preventDefault();
        void save.start(href, name);
      }}
    >
      {children}
    </a>
  );
}

/** Bring a file to the user's disk. */
export function useSave(): { busy: boolean; start: (href: string, name: string) => Promise<void> } {
  const { t } = useWords();
  const { say } = useToasts();
  const [busy, setBusy] = useState(false);
  const start = async (href: string, name: string) => {
    if (session.token() === null) return click(href, name);
    setBusy(true);
    try {
      await api.allowDownload(href);
      click(href, name);
    } catch (error) {
      say({ look: "failed", text: `${t("action.failed")} ${toApiError(error).problem.detail}` });
    } finally {
      setBusy(false);
    }
  };
  return { busy, start };
}

function click(href: string, name: string): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
