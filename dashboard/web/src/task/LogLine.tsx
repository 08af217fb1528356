import { memo, useState } from "react";
import type { LogLine } from "../api/types";
import { useWords } from "../i18n";
import { bytes, clock, toMillis } from "../i18n/format";
import { type Span, spansOf } from "./ansi";
import styles from "./LogViewer.module.css";

const FOLD_AFTER = 4_096;

interface Props {
  line: LogLine;
  index: number;
  top: number;
  time: boolean;
  /** Marked where they occur; empty for none. */
  words: string;
  isCurrent: boolean;
  /** One of those that the address names. */
  isChosen: boolean;
  choose: (line: number, extend: boolean) => void;
  measure: (element: Element | null) => void;
}

export const LogLineView = memo(function LogLineView(props: Props) {
  const { line, index, top, time, words, isCurrent, isChosen, choose, measure } = props;
  const { t, language } = useWords();
  const [whole, setWhole] = useState(false);
  const folded = !whole && line.text.length > FOLD_AFTER;
  const text = folded ? line.text.slice(0, FOLD_AFTER) : line.text;
  const at = toMillis(line.ts);
  return (
    <div
      ref={measure}
      data-index={index}
      data-level={line.level}
      data-chosen={isChosen || undefined}
      className={isCurrent ? `${styles.line} ${styles.current}` : styles.line}
      style={{ transform: `translateY(${top}px)` }}
    >
      <button
        type="button"
        className={styles.number}
        tabIndex={-1}
        title={t("log.link")}
        onClick={(event) => choose(line.n, event.shiftKey)}
      >
        {line.n}
      </button>
      {time && at !== null && <span className={styles.time}>{clock(at, language)}</span>}
      <span className={styles.text}>
        {spansOf(text).map((span, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the spans of a line never change their order
          <Piece key={at} span={span} words={words} />
        ))}
        {folded && (
          <button type="button" className={styles.more} onClick={() => setWhole(true)}>
            {t("log.more", { size: bytes(line.text.length, language) })}
          </button>
        )}
      </span>
    </div>
  );
});

/** A run of one colour, with what is searched for marked in it. */
function Piece({ span, words }: { span: Span; words: string }) {
  return <span className={span.className}>{marked(span.text, words.trim())}</span>;
}

function marked(text: string, words: string) {
  if (words === "") return text;
  const parts: React.ReactNode[] = [];
  const lower = text.toLowerCase();
  const wanted = words.toLowerCase();
  let from = 0;
  for (let found = lower.indexOf(wanted); found >= 0; found = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, found), <mark key={found}>{text.slice(found, found + wanted.length)}</mark>);
    from = found + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}
