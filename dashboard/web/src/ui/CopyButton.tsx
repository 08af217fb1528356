import { ActionIcon, Button } from "@mantine/core";
import { useEffect, useState } from "react";
import { useWords } from "../i18n";
import { Icon } from "./Icon";

const SHOWN_MS = 2_000;

/** The clipboard API is missing on plain http (an intranet), and may be refused; a selection works there too. */
async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copySelected(text);
  }
}

function copySelected(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Copies a text. `what` completes the accessible name: "Copy SHA-256". */
export function CopyButton(props: { text: string | (() => string); what: string; label?: string }) {
  const { text, what, label } = props;
  const { t } = useWords();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const onClick = () => void copy(typeof text === "string" ? text : text()).then(() => setCopied(true));
  const icon = <Icon name={copied ? "check" : "copy"} />;
  const name = copied ? t("copy.copied") : t("copy.what", { what });
  if (label !== undefined) {
    return (
      <Button size="xs" variant="default" leftSection={icon} onClick={onClick}>
        {copied ? t("copy.copied") : label}
      </Button>
    );
  }
  return (
    <ActionIcon size={28} variant="default" aria-label={name} title={name} onClick={onClick}>
      {icon}
    </ActionIcon>
  );
}

/** A line of code with its copy button. */
export function CopyLine({ text, what }: { text: string; what: string }) {
  return (
    <div className="line">
      <code className="code" tabIndex={0}>
        {text}
      </code>
      <CopyButton text={text} what={what} />
    </div>
  );
}
