import { useWords } from "../i18n";
import { Dialog } from "./Dialog";
import styles from "./ShortcutHelp.module.css";

const KEYS = [
  ["/", "help.search"],
  ["n", "help.new"],
  ["j k", "help.move"],
  ["Enter", "help.open"],
  ["x", "help.choose"],
  ["f", "help.follow"],
  ["r", "help.rerun"],
  ["c", "help.cancel"],
  ["Esc", "help.back"],
  ["?", "help.help"],
] as const;

export default function ShortcutHelp({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  return (
    <Dialog opened onClose={onClose} title={t("help.title")} width={420}>
      <dl className={styles.keys}>
        {KEYS.map(([keys, words]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(words)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
