import { Button, CloseButton, NativeSelect, Skeleton, TextInput } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import type { Arch, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { useConnection, useOperatorHealth, useTasks } from "../realtime/live";
import { StaleMark } from "../ui/ConnectionIndicator";
import { EmptyState } from "../ui/EmptyState";
import { Icon } from "../ui/Icon";
import { useIsNarrow } from "../ui/narrow";
import {
  countGroups,
  type Filter,
  fromSearch,
  GROUP_NAMES,
  hasGroup,
  matching,
  NO_FILTER,
  toggleGroup,
  toSearch,
} from "./filters";
import styles from "./TaskList.module.css";
import { TaskRow } from "./TaskRow";

const ROW = 44;
const CARD = 66;

export function TaskList() {
  const { t } = useWords();
  const { tasks, loaded } = useTasks();
  const [filter, setFilter] = useFilter();
  const deferred = useDeferredValue(filter);
  const shown = useMemo(() => matching(tasks, deferred), [tasks, deferred]);
  const all = useMemo(() => matching(tasks, NO_FILTER).length, [tasks]);
  const stale = useOperatorHealth().state === "Stale";
  return (
    <>
      <StaleMark />
      <Toolbar filter={filter} setFilter={setFilter} tasks={tasks} all={all} />
      <div className={stale ? styles.greyed : undefined}>
        {!loaded && <Loading />}
        {loaded && all === 0 && <FirstVisit />}
        {loaded && all > 0 && shown.length === 0 && (
          <section className={styles.panel}>
            <EmptyState
              icon="search"
              title={t("list.none.title")}
              action={
                <Button variant="default" onClick={() => setFilter(NO_FILTER)}>
                  {t("list.none.clear")}
                </Button>
              }
            >
              {t("list.none.text", { n: all })}
            </EmptyState>
          </section>
        )}
        {loaded && shown.length > 0 && <Rows tasks={shown} />}
      </div>
    </>
  );
}

/** The filter of the address. Typing replaces the address, choosing makes a step that "back" undoes. */
function useFilter(): [Filter, (filter: Filter, how?: "type" | "choose") => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filter = useMemo(() => fromSearch(search), [search]);
  const setFilter = (changed: Filter, how: "type" | "choose" = "choose") => {
    const query = toSearch(changed, search);
    navigate(query === "" ? path : `${path}?${query}`, { replace: how === "type" });
  };
  return [filter, setFilter];
}

interface ToolbarProps {
  filter: Filter;
  setFilter: (filter: Filter, how?: "type" | "choose") => void;
  tasks: readonly TaskView[];
  all: number;
}

function Toolbar({ filter, setFilter, tasks, all }: ToolbarProps) {
  const { t, language } = useWords();
  const counts = useMemo(() => countGroups(tasks), [tasks]);
  return (
    <div className={styles.toolbar}>
      <h1 className="unseen">{t("list.title")}</h1>
      <SearchField q={filter.q} onChange={(q) => setFilter({ ...filter, q }, "type")} />
      <fieldset className={styles.groups}>
        <legend className="unseen">{t("list.filter")}</legend>
        <button
          type="button"
          className={styles.group}
          aria-pressed={filter.phases.size === 0}
          onClick={() => setFilter({ ...filter, phases: new Set() })}
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
            {t(`list.group.${group}`)}{" "}
            <span className={styles.count}>{integer(counts[group], language)}</span>
          </button>
        ))}
      </fieldset>
      <NativeSelect
        className={styles.platform}
        aria-label={t("list.platform")}
        rightSection={<Icon name="down" />}
        rightSectionPointerEvents="none"
        value={filter.platform ?? ""}
        onChange={(event) =>
          setFilter({ ...filter, platform: (event.currentTarget.value || null) as Arch | null })
        }
        data={[
          { value: "", label: t("list.anyPlatform") },
          ...(["amd64", "arm64", "universal"] as const).map((value) => ({
            value,
            label: t(`target.${value}`),
          })),
        ]}
      />
    </div>
  );
}

function SearchField({ q, onChange }: { q: string; onChange: (q: string) => void }) {
  const { t } = useWords();
  const [text, setText] = useState(q);
  // The address may change by "back"; what is typed goes first.
  useEffect(() => setText(q), [q]);
  const change = (value: string) => {
    setText(value);
    onChange(value);
  };
  return (
    <TextInput
      className={styles.search}
      type="search"
      aria-label={t("list.search")}
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

function Rows({ tasks }: { tasks: readonly TaskView[] }) {
  const { t } = useWords();
  const narrow = useIsNarrow();
  const size = narrow ? CARD : ROW;
  const list = useRef<HTMLDivElement>(null);
  const virtual = useWindowVirtualizer({
    count: tasks.length,
    estimateSize: () => size,
    getItemKey: (index) => tasks[index]?.uid ?? index,
    overscan: 8,
    scrollMargin: list.current?.offsetTop ?? 0,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows are measured anew exactly when their height changes
  useEffect(() => virtual.measure(), [size]);
  return (
    // Rows are virtual, so the table's roles and counts are given by hand.
    <div className={styles.panel} role="table" aria-label={t("list.title")} aria-rowcount={tasks.length + 1}>
      <Heads />
      <div ref={list} role="rowgroup" className={styles.rows} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const task = tasks[item.index];
          if (!task) return null;
          const top = item.start - virtual.options.scrollMargin;
          return (
            <TaskRow key={item.key} task={task} index={item.index} top={top} height={size} narrow={narrow} />
          );
        })}
      </div>
    </div>
  );
}

function Heads() {
  const { t } = useWords();
  return (
    <div role="rowgroup">
      <div role="row" className={styles.heads} aria-rowindex={1}>
        {(["plugin", "target", "state", "created", "download"] as const).map((column) => (
          <span key={column} role="columnheader">
            <span className={column === "download" ? "unseen" : undefined}>{t(`list.column.${column}`)}</span>
          </span>
        ))}
      </div>
    </div>
  );
}

function FirstVisit() {
  const { t } = useWords();
  return (
    <section className={styles.panel}>
      <EmptyState
        icon="box"
        title={t("list.empty.title")}
        action={
          <>
            <Button component={Link} href="/new" leftSection={<Icon name="plus" />}>
              {t("list.empty.action")}
            </Button>
            <span>{t("list.empty.drop")}</span>
          </>
        }
      >
        {t("list.empty.text")}
      </EmptyState>
    </section>
  );
}

function Loading() {
  const { t } = useWords();
  const unreachable = useConnection().status === "error";
  if (unreachable) {
    return (
      <section className={styles.panel}>
        <EmptyState icon="warning" title={t("connection.error")}>
          {t("list.unreachable")}
        </EmptyState>
      </section>
    );
  }
  return (
    <section className={styles.panel} aria-busy="true" aria-label={t("list.loading")}>
      {[0, 1, 2, 3, 4].map((row) => (
        <div key={row} className={styles.loading}>
          <Skeleton height={14} width="32%" />
          <Skeleton height={14} width="18%" />
        </div>
      ))}
    </section>
  );
}
