import { Textarea } from "@mantine/core";
import { Link } from "wouter";
import { useWords } from "../i18n";
import { taskPath } from "../tasks/actions";
import { Icon } from "../ui/Icon";
import { type Entry, linesOf } from "./batch";
import styles from "./CreateDialog.module.css";

const MOST_LINES = 8;

interface Props {
  text: string;
  onChange: (text: string) => void;
  entries: readonly Entry[];
  /** What the server said of the source, or that there is none. */
  fault: string | null;
}

/** One field that understands what is pasted, one link or many, and says so before anything is sent. */
export function LinksField({ text, onChange, entries, fault }: Props) {
  const { t } = useWords();
  const [only] = entries;
  const many = entries.length > 1;
  const wrong = fault ?? (!many && only && only.source === null ? only.says : null);
  return (
    <div>
      <Textarea
        label={t("create.link")}
        description={t("create.link.help")}
        placeholder={t("create.link.placeholder")}
        value={text}
        rows={Math.min(MOST_LINES, Math.max(2, text.split("\n").length))}
        onChange={(event) => onChange(event.currentTarget.value)}
        onKeyDown={(event) => {
          // One link is sent by Enter, as in any field of one line; in a list it begins the next line.
          if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
          if (linesOf(text).length > 1 || text.includes("\n")) return;
          event.preventDefault();
          event.currentTarget.form?.requestSubmit();
        }}
        error={wrong}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
      {!many && wrong === null && only?.says && (
        <p className={styles.understood} role="status">
          <Icon name="check" /> {only.says}
        </p>
      )}
      {!many && only?.made && <MadeBefore made={only.made} />}
      {many && <Preview entries={entries} />}
    </div>
  );
}

function MadeBefore({ made }: { made: { namespace: string; name: string } }) {
  const { t } = useWords();
  return (
    <p className={styles.madeBefore}>
      {t("batch.made")} <Link href={taskPath(made)}>{made.name}</Link>
    </p>
  );
}

/** What each line was understood as: the table that is looked over before many tasks begin. */
function Preview({ entries }: { entries: readonly Entry[] }) {
  const { t } = useWords();
  return (
    <div className={styles.preview} role="region" aria-label={t("batch.title")} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">#</th>
            <th scope="col">{t("batch.line")}</th>
            <th scope="col">{t("batch.meaning")}</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is known by its place
            <tr key={index} data-state={stateOf(entry)}>
              <td>{index + 1}</td>
              <td className="mono" title={entry.text}>
                {entry.text}
              </td>
              <td>
                <Meaning entry={entry} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function stateOf(entry: Entry): "wrong" | "duplicate" | "good" {
  if (entry.source === null) return "wrong";
  return entry.duplicate ? "duplicate" : "good";
}

function Meaning({ entry }: { entry: Entry }) {
  const { t } = useWords();
  const state = stateOf(entry);
  if (state === "wrong") {
    return (
      <span className={styles.wrong}>
        <Icon name="cross" /> {entry.says}
      </span>
    );
  }
  if (state === "duplicate") {
    return (
      <span className="muted">
        <Icon name="dash" /> {t("batch.duplicate")}
      </span>
    );
  }
  return (
    <span>
      <Icon name="check" /> {entry.says}
      {entry.made && (
        <>
          {" · "}
          {t("batch.made")} <Link href={taskPath(entry.made)}>{entry.made.name}</Link>
        </>
      )}
    </span>
  );
}
