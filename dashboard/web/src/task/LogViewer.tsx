import { ActionIcon, Button, CloseButton, NativeSelect, TextInput } from "@mantine/core";
import { useVirtualizer, type Virtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { logTextUrl } from "../api/client";
import type { LogLine, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { search } from "../realtime/logs";
import { isFinal } from "../tasks/describe";
import { CopyButton } from "../ui/CopyButton";
import { FileLink } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import { useShortcuts } from "../ui/shortcuts";
import { spansOf } from "./ansi";
import { LogLineView } from "./LogLine";
import styles from "./LogViewer.module.css";
import { clicked, hashOf, type LineRange, rangeOf } from "./lineLinks";
import { type LogTaste, useLogTaste } from "./logTaste";
import { type TaskLog, useLog } from "./useLog";

const LINE = 20;
/** So near to the end counts as being at the end. */
const NEAR_END = LINE * 1.5;

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
        <Search words={words} find={find} matches={matches} at={at} step={step} log={log} />
        <Toggles taste={taste} setTaste={setTaste} />
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
      {log.error !== null && <ProblemNote error={log.error} title={t("log.failed")} />}
      {log.lines.length === 0 ? (
        <p className={styles.empty}>
          {!log.loading && t(isFinal(task) ? "log.empty.none" : "log.empty.waiting")}
        </p>
      ) : (
        <Lines
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

function AttemptChoice({ log }: { log: TaskLog }) {
  const { t } = useWords();
  if (log.attempts.length < 2) return null;
  return (
    <NativeSelect
      size="xs"
      className={styles.attempt}
      aria-label={t("log.attempt")}
      rightSection={<Icon name="down" />}
      rightSectionPointerEvents="none"
      value={String(log.attempt)}
      onChange={(event) => log.choose(Number(event.currentTarget.value))}
      data={log.attempts.map((n) => ({ value: String(n), label: t("timeline.attempt", { n }) }))}
    />
  );
}

interface SearchProps {
  words: string;
  find: (text: string) => void;
  matches: readonly number[];
  at: number;
  step: (by: number) => void;
  log: TaskLog;
}

function Search({ words, find, matches, at, step, log }: SearchProps) {
  const { t, language } = useWords();
  const count =
    matches.length === 0
      ? t("log.noMatch")
      : t("log.matches", { at: at + 1, n: integer(matches.length, language) });
  const scope = log.hasOlder ? t("log.searchScope", { n: integer(log.lines.length, language) }) : undefined;
  return (
    <div className={styles.search}>
      <TextInput
        size="xs"
        type="search"
        aria-label={t("log.search")}
        placeholder={t("log.search")}
        leftSection={<Icon name="search" />}
        rightSection={
          words !== "" && <CloseButton size="xs" aria-label={t("list.none.clear")} onClick={() => find("")} />
        }
        value={words}
        onChange={(event) => find(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && step(event.shiftKey ? -1 : 1)}
      />
      {words.trim() !== "" && (
        <>
          <span className={styles.count} role="status" title={scope}>
            {count}
          </span>
          {log.hasOlder && (
            <Button
              size="compact-xs"
              variant="subtle"
              title={scope}
              loading={log.loading}
              onClick={() => log.loadOlder(1)}
            >
              {t("log.searchAll")}
            </Button>
          )}
          <ActionIcon variant="subtle" size={26} aria-label={t("log.previous")} onClick={() => step(-1)}>
            <Icon name="up" />
          </ActionIcon>
          <ActionIcon variant="subtle" size={26} aria-label={t("log.next")} onClick={() => step(1)}>
            <Icon name="down" />
          </ActionIcon>
        </>
      )}
    </div>
  );
}

function Toggles({ taste, setTaste }: { taste: LogTaste; setTaste: (taste: LogTaste) => void }) {
  const { t } = useWords();
  return (
    <div className={styles.toggles}>
      {(["follow", "wrap", "time"] as const).map((name) => (
        <label key={name} className={styles.toggle}>
          <input
            type="checkbox"
            checked={taste[name]}
            onChange={(event) => setTaste({ ...taste, [name]: event.currentTarget.checked })}
          />
          {t(`log.${name}`)}
        </label>
      ))}
    </div>
  );
}

interface LinesProps {
  log: TaskLog;
  taste: LogTaste;
  setTaste: (taste: LogTaste) => void;
  matches: readonly number[];
  current: number | null;
  words: string;
  range: LineRange | null;
  choose: (line: number, extend: boolean) => void;
}

function Lines({ log, taste, setTaste, matches, current, words, range, choose }: LinesProps) {
  const { t } = useWords();
  const box = useRef<HTMLDivElement>(null);
  const { lines } = log;
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE,
    // By its number, so that older lines put in before do not move what is read.
    getItemKey: (index) => lines[index]?.n ?? index,
    overscan: 20,
  });
  const missed = useFollowing(box, virtual, log, taste, setTaste);
  const matched = useMemo(() => new Set(matches), [matches]);
  useEffect(() => {
    if (current !== null) virtual.scrollToIndex(current, { align: "center" });
  }, [current, virtual]);
  useShowRange(range, lines, (index) => virtual.scrollToIndex(index, { align: "center" }));
  return (
    <div className={styles.frame}>
      <div
        ref={box}
        className={styles.box}
        role="log"
        aria-live="off"
        aria-label={t("log.label")}
        tabIndex={0}
      >
        {log.hasOlder && (
          <Button
            size="compact-xs"
            variant="subtle"
            className={styles.older ?? ""}
            onClick={() => log.loadOlder()}
          >
            {t("log.older")}
          </Button>
        )}
        <div
          className={taste.wrap ? styles.wrapped : styles.lines}
          style={{ height: virtual.getTotalSize() }}
        >
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return (
              line && (
                <LogLineView
                  key={item.key}
                  line={line}
                  index={item.index}
                  top={item.start}
                  time={taste.time}
                  words={matched.has(item.index) ? words : ""}
                  isCurrent={item.index === current}
                  isChosen={range !== null && line.n >= range.from && line.n <= range.to}
                  choose={choose}
                  measure={virtual.measureElement}
                />
              )
            );
          })}
        </div>
      </div>
      {missed !== null && <Paused missed={missed} onLatest={() => setTaste({ ...taste, follow: true })} />}
    </div>
  );
}

/** The lines that the address names. Those that are not held yet are fetched; who looks at a line follows no end. */
function useLineRange(
  log: TaskLog,
  stopFollowing: (() => void) | null,
): [LineRange | null, (line: number, extend: boolean) => void] {
  const [range, setRange] = useState(() => rangeOf(window.location.hash));
  const first = log.lines[0]?.n ?? 0;
  const wanted = range?.from ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked once for each beginning that is held
  useEffect(() => {
    if (wanted > 0 && first > wanted && !log.loading) log.loadOlder(wanted);
  }, [wanted, first, log.loading]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when a range is chosen
  useEffect(() => {
    if (range !== null) stopFollowing?.();
  }, [range]);
  const latest = useRef(range);
  latest.current = range;
  const choose = useCallback((line: number, extend: boolean) => {
    const next = clicked(latest.current, line, extend);
    setRange(next);
    history.replaceState(history.state, "", hashOf(next));
  }, []);
  return [range, choose];
}

/** Bring the range into view once, when its first line is held. */
function useShowRange(
  range: LineRange | null,
  lines: readonly LogLine[],
  scrollTo: (index: number) => void,
): void {
  const shown = useRef<number | null>(null);
  const first = lines[0]?.n ?? Number.POSITIVE_INFINITY;
  // biome-ignore lint/correctness/useExhaustiveDependencies: lines that come later move nothing
  useEffect(() => {
    if (range === null || first > range.from || shown.current !== null) return;
    shown.current = range.from;
    const index = lines.findIndex((line) => line.n >= range.from);
    if (index >= 0) requestAnimationFrame(() => scrollTo(index));
  }, [range, first]);
}

/** The browser's own full screen where it has one; Escape leaves it. */
function useFullScreen(section: React.RefObject<HTMLElement | null>): [boolean, (full: boolean) => void] {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const onChange = () => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", onChange);
    return () => document.removeEventListener("fullscreenchange", onChange);
  }, []);
  return [
    full,
    (wanted) => {
      if (wanted) void section.current?.requestFullscreen?.();
      else void document.exitFullscreen();
    },
  ];
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

/**
 * Stay at the end while following; leaving the end by hand pauses, coming back to it goes on. Returns the number of
 * lines that came since the pause, null while following.
 */
function useFollowing(
  box: React.RefObject<HTMLDivElement | null>,
  virtual: Virtualizer<HTMLDivElement, Element>,
  log: TaskLog,
  taste: LogTaste,
  setTaste: (taste: LogTaste) => void,
): number | null {
  const last = log.lines.at(-1)?.n ?? 0;
  const count = log.lines.length;
  const pausedAt = useRef(last);
  if (taste.follow) pausedAt.current = last;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new last line, and each change of heights, scrolls
  useEffect(() => {
    if (taste.follow && count > 0) virtual.scrollToIndex(count - 1, { align: "end" });
  }, [taste.follow, taste.wrap, taste.time, last, count]);

  const latest = useRef({ taste, setTaste });
  latest.current = { taste, setTaste };
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    let before = element.scrollTop;
    const onScroll = () => {
      const { taste: now, setTaste: set } = latest.current;
      const rest = element.scrollHeight - element.scrollTop - element.clientHeight;
      // Only going up is a wish to leave; lines that arrive make the rest grow as well.
      if (now.follow && element.scrollTop < before - 2 && rest > NEAR_END) set({ ...now, follow: false });
      if (!now.follow && element.scrollTop > before && rest <= 2) set({ ...now, follow: true });
      before = element.scrollTop;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => element.removeEventListener("scroll", onScroll);
  }, [box]);
  return taste.follow ? null : last - pausedAt.current;
}

function Paused({ missed, onLatest }: { missed: number; onLatest: () => void }) {
  const { t, language } = useWords();
  return (
    <div className={styles.paused}>
      <Icon name="pause" />
      <span role="status">
        {t("log.paused")}
        {missed > 0 && ` · ${t("log.newLines", { n: integer(missed, language) })}`}
      </span>
      <Button size="compact-xs" variant="filled" onClick={onLatest}>
        {t("log.toLatest")}
      </Button>
    </div>
  );
}
