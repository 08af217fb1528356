import { TextInput } from "@mantine/core";
import { useState } from "react";
import { useWords } from "../i18n";
import { difyOf } from "../task/dify";
import { setTaste, useTaste } from "./taste";

/** The version of the user's own Dify: no part of a task, it only chooses the advice. Kept in this browser. */
export function DifyVersionField({ size, help = false }: { size?: "xs"; help?: boolean }) {
  const { t } = useWords();
  const { dify } = useTaste();
  const [text, setText] = useState(dify);
  const [seen, setSeen] = useState(dify);
  // Somebody has changed it elsewhere: on the settings page, or in another tab.
  if (seen !== dify) {
    setSeen(dify);
    if (difyOf(text) !== null || text === "") setText(dify);
  }
  const wrong = text.trim() !== "" && difyOf(text) === null;
  const change = (value: string) => {
    setText(value);
    const known = value.trim() === "" || difyOf(value) !== null ? value.trim() : "";
    setSeen(known);
    setTaste({ dify: known });
  };
  return (
    <TextInput
      size={size ?? "sm"}
      {...(help
        ? { label: t("dify.label"), description: t("dify.help") }
        : { "aria-label": t("dify.label") })}
      placeholder={size === "xs" ? t("dify.label") : "1.13.2"}
      value={text}
      maxLength={32}
      inputMode="decimal"
      autoComplete="off"
      error={wrong && t("dify.fault")}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
