import { Button, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { useWords } from "../i18n";
import { bytes, integer } from "../i18n/format";
import { useTasks } from "../realtime/live";
import { taskPath } from "../tasks/actions";
import { CopyButton } from "../ui/CopyButton";
import { EmptyState } from "../ui/EmptyState";
import { FileLink } from "../ui/FileLink";
import { Icon } from "../ui/Icon";
import { StaleMark } from "../ui/StaleMark";
import { Ago, Moment } from "../ui/Times";
import styles from "./PackagesPage.module.css";
import { type PackageFile, packageFiles } from "./recent";
import { StorageCard } from "./StorageCard";

const PAGE = 50;

/** The files that were made lately, and how the volume is doing. */
export default function PackagesPage() {
  const { t, language } = useWords();
  const { tasks, loaded } = useTasks();
  const [words, setWords] = useState("");
  const [most, setMost] = useState(PAGE);
  const files = useMemo(() => packageFiles(tasks, words), [tasks, words]);
  const size = files.reduce((sum, { artifact }) => sum + (artifact.sizeBytes ?? 0), 0);
  return (
    <div className={styles.page}>
      <StaleMark />
      <h1>{t("packages.title")}</h1>
      <StorageCard count={files.length} />
      <section className={styles.files} aria-label={t("packages.recent")}>
        <div className={styles.bar}>
          <h2>{t("packages.recent")}</h2>
          <span className="muted">
            {t("packages.sum", { n: integer(files.length, language), size: bytes(size, language) })}
          </span>
          <TextInput
            size="xs"
            className={styles.search}
            type="search"
            aria-label={t("packages.search")}
            placeholder={t("packages.search")}
            leftSection={<Icon name="search" />}
            value={words}
            onChange={(event) => setWords(event.currentTarget.value)}
          />
        </div>
        {loaded && files.length === 0 ? (
          <EmptyState
            icon={words === "" ? "box" : "search"}
            title={t(words === "" ? "packages.none" : "packages.noMatch")}
          />
        ) : (
          <ul className={styles.list}>
            {files.slice(0, most).map((file) => (
              <FileRow key={`${file.task.uid}/${file.artifact.target}`} file={file} />
            ))}
          </ul>
        )}
        {files.length > most && (
          <Button variant="subtle" onClick={() => setMost(most + PAGE)}>
            {t("market.more")}
          </Button>
        )}
      </section>
    </div>
  );
}

function FileRow({ file: { task, artifact, madeAt } }: { file: PackageFile }) {
  const { t, language } = useWords();
  const name = artifact.name ?? task.name;
  return (
    <li className={styles.file}>
      <div className={styles.what}>
        <Link href={taskPath(task)} className={`${styles.name} mono`}>
          {name}
        </Link>
        <div className={styles.facts}>
          <span>{t(`target.${artifact.target}`)}</span>
          <span>{bytes(artifact.sizeBytes ?? 0, language)}</span>
          <Ago at={madeAt} />
          {task.status.expiresAt && (
            <span>
              {t("task.expires")} <Moment at={task.status.expiresAt} />
            </span>
          )}
        </div>
      </div>
      {artifact.sha256 && <CopyButton text={artifact.sha256} what={t("packages.sha", { name })} />}
      <FileLink
        href={artifact.uri}
        name={name}
        className={styles.download}
        label={t("list.download", { name })}
      >
        <Icon name="download" />
      </FileLink>
    </li>
  );
}
