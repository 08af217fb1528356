import { type ReactNode, useState } from "react";
import { api, fetchBlob, toApiError } from "../api/client";
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
      if (await isAllowed(href)) click(href, name);
      else await fetchWhole(href, name);
    } catch (error) {
      say({ look: "failed", text: `${t("action.failed")} ${toApiError(error).problem.detail}` });
    } finally {
      setBusy(false);
    }
  };
  return { busy, start };
}

/** Whether a plain link works now; not for a user of so many groups that no cookie holds the ticket. */
async function isAllowed(href: string): Promise<boolean> {
  try {
    await api.allowDownload(href);
    return true;
  } catch (error) {
    if (toApiError(error).problem.status === 413) return false;
    throw error;
  }
}

/** By way of the page's memory, with the token in a header: it cannot be resumed. */
async function fetchWhole(href: string, name: string): Promise<void> {
  const url = URL.createObjectURL(await fetchBlob(href));
  click(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function click(href: string, name: string): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
