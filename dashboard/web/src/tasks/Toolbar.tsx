import { CloseButton, NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Arch, SourceType, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { useShortcuts } from "../ui/shortcuts";
import { countGroups, type Filter, GROUP_NAMES, hasGroup, toggleGroup } from "./filters";
import styles from "./TaskList.module.css";

export type SetFilter = (filter: Filter, how?: "type" | "choose") => void;

interface Props {
  filter: Filter;
  setFilter: SetFilter;
  tasks: readonly TaskView[];
  all: number;
}

export function Toolbar({ filter, setFilter, tasks, all }: Props) {
  const { t } = useWords();
  return (
    <div className={styles.toolbar}>
      <h1 className="unseen">{t("list.title")}</h1>
      <SearchField q={filter.q} onChange={(q) => setFilter({ ...filter, q }, "type")} />
      <Groups filter={filter} setFilter={setFilter} tasks={tasks} all={all} />
      <div className={styles.choices}>
        <Choice
          label={t("list.source")}
          any={t("list.anySource")}
          value={filter.source}
          options={(["Marketplace", "GitHub", "URL", "Upload"] as const).map((value) => ({
            value,
            label: t(`source.${value}`),
          }))}
          onChange={(source) => setFilter({ ...filter, source: source as SourceType | null })}
        />
        <Choice
          label={t("list.platform")}
          any={t("list.anyPlatform")}
          value={filter.platform}
          options={(["amd64", "arm64", "universal"] as const).map((value) => ({
            value,
            label: t(`target.${value}`),
          }))}
          onChange={(platform) => setFilter({ ...filter, platform: platform as Arch | null })}
        />
      </div>
    </div>
  );
}

function Groups({ filter, setFilter, tasks, all }: Props) {
  const { t, language } = useWords();
  const counts = useMemo(() => countGroups(tasks), [tasks]);
  const dryRuns = useMemo(() => tasks.filter((task) => task.spec.dryRun).length, [tasks]);
  return (
    <fieldset className={styles.groups}>
      <legend className="unseen">{t("list.filter")}</legend>
      <button
        type="button"
        className={styles.group}
        aria-pressed={filter.phases.size === 0 && !filter.dryRuns}
        onClick={() => setFilter({ ...filter, phases: new Set(), dryRuns: false })}
      >
        {t("list.all")} <span className={styles.count}>{integer(all, language)}</span>
      </button>
      {GROUP_NAMES.filter((group) => group !== "cancelled" || counts.cancelled > 0).map((group) => (
        <button
          key={group}
          type="button"
          className={styles.group}
          aria-pressed={hasGroup(filter, group)}
          onClick={() => setFilter(toggleGroup(filter, group))}
        >
          {t(`list.group.${group}`)} <span className={styles.count}>{integer(counts[group], language)}</span>
        </button>
      ))}
      {(dryRuns > 0 || filter.dryRuns) && (
        <button
          type="button"
          className={styles.group}
          aria-pressed={filter.dryRuns}
          onClick={() => setFilter({ ...filter, dryRuns: !filter.dryRuns })}
        >
          {t("list.dryRuns")} <span className={styles.count}>{integer(dryRuns, language)}</span>
        </button>
      )}
    </fieldset>
  );
}

interface ChoiceProps {
  label: string;
  any: string;
  value: string | null;
  options: { value: string; label: string }[];
  onChange: (value: string | null) => void;
}

function Choice({ label, any, value, options, onChange }: ChoiceProps) {
  return (
    <NativeSelect
      aria-label={label}
      rightSection={<Icon name="down" />}
      rightSectionPointerEvents="none"
      value={value ?? ""}
      onChange={(event) => onChange(event.currentTarget.value || null)}
      data={[{ value: "", label: any }, ...options]}
    />
  );
}

function SearchField({ q, onChange }: { q: string; onChange: (q: string) => void }) {
  const { t } = useWords();
  const [text, setText] = useState(q);
  const field = useRef<HTMLInputElement>(null);
  useShortcuts({ "/": () => field.current?.focus() });
  // The address may change by "back"; what is typed goes first.
  useEffect(() => setText(q), [q]);
  const change = (value: string) => {
    setText(value);
    onChange(value);
  };
  return (
    <TextInput
      ref={field}
      className={styles.search}
      type="search"
      aria-label={t("list.search")}
      aria-keyshortcuts="/"
      placeholder={t("list.searchHint")}
      leftSection={<Icon name="search" />}
      rightSection={
        text !== "" && <CloseButton size="sm" aria-label={t("list.none.clear")} onClick={() => change("")} />
      }
      value={text}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
