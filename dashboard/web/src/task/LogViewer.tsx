import { ActionIcon } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import { logTextUrl } from "../api/client";
import type { LogLine, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { search } from "../realtime/logs";
import { isFinal } from "../tasks/describe";
import { CopyButton } from "../ui/CopyButton";
import { FileLink } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import { useShortcuts } from "../ui/shortcuts";
import { spansOf } from "./ansi";
import { AttemptChoice, LogSearch, LogToggles } from "./LogBar";
import { LogLines } from "./LogLines";
import styles from "./LogViewer.module.css";
import type { LineRange } from "./lineLinks";
import { useLogTaste } from "./logTaste";
import { useFullScreen } from "./useFullScreen";
import { useLineRange } from "./useLineRange";
import { useLog } from "./useLog";

/** The log of a task: its bar and its lines. */
export function LogViewer({ task }: { task: TaskView }) {
  const { t } = useWords();
  const log = useLog(task);
  const [taste, setTaste] = useLogTaste();
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const matches = useMemo(() => search(log.lines, words), [log.lines, words]);
  const current = matches.length === 0 ? null : (matches[Math.min(at, matches.length - 1)] ?? null);
  const find = (text: string) => {
    setWords(text);
    setAt(0);
  };
  const [range, choose] = useLineRange(
    log,
    taste.follow ? () => setTaste({ ...taste, follow: false }) : null,
  );
  const section = useRef<HTMLElement>(null);
  const [full, setFull] = useFullScreen(section);
  // The page comes after its address, so the browser found no such place yet.
  useEffect(() => {
    if (window.location.hash === "#log") section.current?.scrollIntoView();
  }, []);
  useShortcuts({ f: () => setTaste({ ...taste, follow: !taste.follow }) });
  const step = (by: number) => setAt((index) => (index + by + matches.length) % Math.max(1, matches.length));
  return (
    <section
      ref={section}
      className={styles.viewer}
      aria-label={t("log.title")}
      data-full={full || undefined}
    >
      <div className={styles.bar}>
        <h2>{t("log.title")}</h2>
        <AttemptChoice log={log} />
        <LogSearch words={words} find={find} matches={matches} at={at} step={step} log={log} />
        <LogToggles taste={taste} setTaste={setTaste} />
        <div className={styles.tools}>
          <CopyButton text={() => textOf(log.lines, range)} what={t("log.title")} />
          <FileLink
            className={styles.tool}
            href={logTextUrl(task.uid, log.attempt)}
            name={`${task.name}-${log.attempt}.log`}
            label={t("log.download")}
          >
            <Icon name="download" />
          </FileLink>
          <ActionIcon
            variant="default"
            size={28}
            aria-label={t(full ? "log.small" : "log.full")}
            title={t(full ? "log.small" : "log.full")}
            onClick={() => setFull(!full)}
          >
            <Icon name={full ? "shrink" : "expand"} />
          </ActionIcon>
        </div>
      </div>
      {log.error !== null && <ProblemNote error={log.error} title={t("log.failed")} />}
      {log.lines.length === 0 ? (
        <p className={styles.empty}>
          {!log.loading && t(isFinal(task) ? "log.empty.none" : "log.empty.waiting")}
        </p>
      ) : (
        <LogLines
          log={log}
          taste={taste}
          setTaste={setTaste}
          matches={matches}
          current={current}
          words={words}
          range={range}
          choose={choose}
        />
      )}
    </section>
  );
}

/** The chosen lines, or all that are held, as text without colours. */
function textOf(lines: readonly LogLine[], range: LineRange | null): string {
  return lines
    .filter((line) => range === null || (line.n >= range.from && line.n <= range.to))
    .map((line) =>
      spansOf(line.text)
        .map((span) => span.text)
        .join(""),
    )
    .join("\n");
}
