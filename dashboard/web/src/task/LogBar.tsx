import { ActionIcon, Button, CloseButton, NativeSelect, TextInput } from "@mantine/core";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { Icon } from "../ui/Icon";
import styles from "./LogViewer.module.css";
import type { LogTaste } from "./logTaste";
import type { TaskLog } from "./useLog";

/** Which attempt's log is shown; nothing to choose while there was one only. */
export function AttemptChoice({ log }: { log: TaskLog }) {
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

/** Searches what is held, and on demand the whole log. */
export function LogSearch({ words, find, matches, at, step, log }: SearchProps) {
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

export function LogToggles({ taste, setTaste }: { taste: LogTaste; setTaste: (taste: LogTaste) => void }) {
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
