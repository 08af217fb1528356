import { Button, Skeleton } from "@mantine/core";
import { lazy, Suspense, useDeferredValue, useEffect, useMemo } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { isDeepLink } from "../create/prefill";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { useConnection, useOperatorHealth, useTasks } from "../realtime/live";
import { EmptyState } from "../ui/EmptyState";
import { Icon } from "../ui/Icon";
import { StaleMark } from "../ui/StaleMark";
import { type Filter, fromSearch, matching, NO_FILTER, toSearch } from "./filters";
import { useHeld } from "./held";
import { listSearch, rememberList } from "./listAddress";
import { Rows } from "./Rows";
import { ALL, withSelection } from "./selection";
import styles from "./TaskList.module.css";
import { Toolbar } from "./Toolbar";
import { useSelection } from "./useSelection";

const BulkBar = lazy(() => import("./BulkBar"));

export function TaskList() {
  const { tasks, loaded } = useTasks();
  const [filter, setFilter] = useFilter();
  const deferred = useDeferredValue(filter);
  const found = useMemo(() => matching(tasks, deferred), [tasks, deferred]);
  const all = useMemo(() => tasks.filter((task) => !task.spec.dryRun).length, [tasks]);
  const shown = useHeld(found, toSearch(deferred));
  const chosen = useSelection(shown.rows, loaded);
  const stale = useOperatorHealth().state === "Stale";
  useDeepLink();
  return (
    <>
      <StaleMark />
      <Toolbar filter={filter} setFilter={setFilter} tasks={tasks} all={all} />
      <div className={stale ? styles.greyed : undefined}>
        {!loaded && <Loading />}
        {loaded && all === 0 && !filter.dryRuns && <FirstVisit />}
        {loaded && (all > 0 || filter.dryRuns) && shown.rows.length === 0 && (
          <NoMatch all={all} onClear={() => setFilter(NO_FILTER)} />
        )}
        {loaded && shown.rows.length > 0 && (
          <div {...shown.pointer}>
            {shown.waiting > 0 && <Waiting n={shown.waiting} onShow={shown.release} />}
            <Rows
              tasks={shown.rows}
              chosen={chosen}
              sort={filter.sort}
              onSort={(sort) => setFilter({ ...filter, sort })}
            />
          </div>
        )}
      </div>
      {/* Stays once it is there: it tells what of the last action failed. */}
      <Suspense fallback={null}>{chosen.everChosen && <BulkBar chosen={chosen} />}</Suspense>
    </>
  );
}

/** The original application had its form at `/`: its links open ours. */
function useDeepLink(): void {
  const search = useSearch();
  const [path, navigate] = useLocation();
  useEffect(() => {
    if (path === "/" && isDeepLink(search)) navigate(`/new?${search}`, { replace: true });
  }, [path, search, navigate]);
}

/** Says that rows wait, without moving those under the pointer: it lies above them. */
function Waiting({ n, onShow }: { n: number; onShow: () => void }) {
  const { t, language } = useWords();
  return (
    <div className={styles.waiting}>
      <Button size="compact-xs" onClick={onShow}>
        {t("list.waiting", { n: integer(n, language) })}
      </Button>
    </div>
  );
}

function NoMatch({ all, onClear }: { all: number; onClear: () => void }) {
  const { t } = useWords();
  return (
    <section className={styles.panel}>
      <EmptyState
        icon="search"
        title={t("list.none.title")}
        action={
          <Button variant="default" onClick={onClear}>
            {t("list.none.clear")}
          </Button>
        }
      >
        {t("list.none.text", { n: all })}
      </EmptyState>
    </section>
  );
}

/** The filter of the address. Typing replaces the address, choosing makes a step that "back" undoes. */
function useFilter(): [Filter, (filter: Filter, how?: "type" | "choose") => void] {
  const [path, navigate] = useLocation();
  const asked = useSearch();
  // The form lies over the list and has an address of its own; the list behind it stays as it was left.
  const search = path === "/" ? asked : listSearch();
  useEffect(() => {
    if (path === "/") rememberList(search);
  }, [path, search]);
  const filter = useMemo(() => fromSearch(search), [search]);
  const setFilter = (changed: Filter, how: "type" | "choose" = "choose") => {
    // "All that match" is said of one filter; with another one it would mean other rows.
    const isAll = new URLSearchParams(search).get("sel") === ALL;
    const query = toSearch(changed, isAll ? withSelection(search, "") : search);
    navigate(query === "" ? path : `${path}?${query}`, { replace: how === "type" });
  };
  return [filter, setFilter];
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
