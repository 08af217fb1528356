import { type ReactNode, useState } from "react";
import { fetchBlob, toApiError } from "../api/client";
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
 * A download. Where nobody is asked who they are it is a plain link, which a browser can resume; a signed-in user's
 * token goes in a header, which no link can send, so the file is fetched first.
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

/** Bring a file to the user's disk, by a plain link or with the token. */
export function useSave(): { busy: boolean; start: (href: string, name: string) => Promise<void> } {
  const { t } = useWords();
  const { say } = useToasts();
  const [busy, setBusy] = useState(false);
  const start = async (href: string, name: string) => {
    if (session.token() === null) return click(href, name);
    setBusy(true);
    try {
      const url = URL.createObjectURL(await fetchBlob(href));
      click(url, name);
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
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
