import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useRef } from "react";
import { useLocation } from "wouter";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { Icon } from "../ui/Icon";
import { useIsNarrow } from "../ui/narrow";
import { useShortcuts } from "../ui/shortcuts";
import { useTaste } from "../ui/taste";
import { taskPath } from "./actions";
import { nextSort, type Sort } from "./filters";
import styles from "./TaskList.module.css";
import { TaskRow } from "./TaskRow";
import type { Chosen } from "./useSelection";

const HEIGHTS = { comfortable: { row: 44, card: 68 }, compact: { row: 32, card: 56 } } as const;

interface Props {
  tasks: readonly TaskView[];
  chosen: Chosen;
  sort: Sort;
  onSort: (sort: Sort) => void;
}

export function Rows({ tasks, chosen, sort, onSort }: Props) {
  const { t } = useWords();
  const narrow = useIsNarrow();
  const size = HEIGHTS[useTaste().density][narrow ? "card" : "row"];
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
  useRowKeys(tasks, chosen, list, (index) => virtual.scrollToIndex(index));

  // Rows render only when they change, so what they call stays the same.
  const latest = useRef(chosen);
  latest.current = chosen;
  const toggle = useCallback((uid: string, range: boolean) => latest.current.toggle(uid, range), []);
  return (
    // Rows are virtual, so the table's roles and counts are given by hand.
    <div className={styles.panel} role="table" aria-label={t("list.title")} aria-rowcount={tasks.length + 1}>
      <Heads tasks={tasks} chosen={chosen} sort={sort} onSort={onSort} />
      <div ref={list} role="rowgroup" className={styles.rows} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const task = tasks[item.index];
          if (!task) return null;
          return (
            <TaskRow
              key={item.key}
              task={task}
              index={item.index}
              top={item.start - virtual.options.scrollMargin}
              height={size}
              narrow={narrow}
              selected={chosen.selection.uids.has(task.uid)}
              toggle={toggle}
            />
          );
        })}
      </div>
    </div>
  );
}

/** `j` and `k` move from row to row, `x` chooses, Enter opens (the row's own link has the focus). */
function useRowKeys(
  tasks: readonly TaskView[],
  chosen: Chosen,
  list: React.RefObject<HTMLElement | null>,
  scrollTo: (index: number) => void,
): void {
  const [, navigate] = useLocation();
  const at = () => {
    const row = document.activeElement?.closest<HTMLElement>("[data-uid]");
    return tasks.findIndex((task) => task.uid === row?.dataset.uid);
  };
  const focus = (index: number) => {
    const task = tasks[index];
    if (!task) return;
    scrollTo(index);
    const link = () => list.current?.querySelector<HTMLElement>(`[data-uid="${CSS.escape(task.uid)}"] a`);
    const drawn = link();
    if (drawn) drawn.focus({ preventScroll: true });
    // One that was far away is drawn only after the page has scrolled there.
    else requestAnimationFrame(() => requestAnimationFrame(() => link()?.focus({ preventScroll: true })));
  };
  const current = () => tasks[at()];
  useShortcuts({
    j: () => focus(Math.min(tasks.length - 1, at() + 1)),
    k: () => focus(Math.max(0, at() - 1)),
    x: () => {
      const task = current();
      if (task) chosen.toggle(task.uid, false);
    },
    o: () => {
      const task = current();
      if (task) navigate(taskPath(task));
    },
  });
}

function Heads({ tasks, chosen, sort, onSort }: Props) {
  const { t } = useWords();
  const all = tasks.length > 0 && chosen.tasks.length === tasks.length;
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = chosen.tasks.length > 0 && !all;
  }, [chosen.tasks.length, all]);
  return (
    <div role="rowgroup">
      <div role="row" className={styles.heads} aria-rowindex={1}>
        <span role="columnheader" className={styles.check}>
          <label className={styles.hit}>
            <input
              ref={box}
              type="checkbox"
              aria-label={t("bulk.all", { n: tasks.length })}
              title={t("bulk.all", { n: tasks.length })}
              checked={all}
              onChange={chosen.toggleAll}
            />
          </label>
        </span>
        <SortHead column="name" text={t("list.column.plugin")} sort={sort} onSort={onSort} />
        <span role="columnheader">{t("list.column.target")}</span>
        <span role="columnheader">{t("list.column.state")}</span>
        <SortHead column="created" text={t("list.column.created")} sort={sort} onSort={onSort} />
        <span role="columnheader">
          <span className="unseen">{t("list.column.download")}</span>
        </span>
      </div>
    </div>
  );
}

interface SortProps {
  column: "name" | "created";
  text: string;
  sort: Sort;
  onSort: (sort: Sort) => void;
}

function SortHead({ column, text, sort, onSort }: SortProps) {
  const here = sort.replace("-", "") === column;
  const rising = !sort.startsWith("-");
  return (
    <span role="columnheader" aria-sort={here ? (rising ? "ascending" : "descending") : "none"}>
      <button type="button" className={styles.sort} onClick={() => onSort(nextSort(sort, column))}>
        {text} {here && <Icon name={rising ? "up" : "down"} size={12} />}
      </button>
    </span>
  );
}
