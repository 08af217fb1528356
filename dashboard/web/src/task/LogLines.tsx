import { Button } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { LogLineView } from "./LogLine";
import styles from "./LogViewer.module.css";
import type { LineRange } from "./lineLinks";
import type { LogTaste } from "./logTaste";
import { LINE, useFollowing } from "./useFollowing";
import { useShowRange } from "./useLineRange";
import type { TaskLog } from "./useLog";

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

/** The box of the log: only the lines in view are drawn. */
export function LogLines({ log, taste, setTaste, matches, current, words, range, choose }: LinesProps) {
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
