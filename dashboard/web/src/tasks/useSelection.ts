import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import type { TaskView } from "../api/types";
import { NOTHING, type Selection, selectionOf, selectionText, toggled, withSelection } from "./selection";

export interface Chosen {
  selection: Selection;
  /** The chosen tasks as they are now; those that are gone are not among them. */
  tasks: TaskView[];
  toggle: (uid: string, range: boolean) => void;
  toggleAll: () => void;
  /** Whether anything was chosen since the page was opened. */
  everChosen: boolean;
  clear: () => void;
}

/**
 * The rows that are chosen among those shown: what the filter hides is not acted upon. The address keeps the selection,
 * so that a reload, going back and a link to somebody else show the same rows chosen.
 */
export function useSelection(rows: readonly TaskView[], loaded: boolean): Chosen {
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const address = useAddress(rows, loaded, setSelection);
  const tasks = useMemo(
    () => (selection.uids.size === 0 ? [] : rows.filter((row) => selection.uids.has(row.uid))),
    [rows, selection],
  );
  const ever = useRef(false);
  ever.current ||= tasks.length > 0;
  const choose = (next: Selection) => {
    setSelection(next);
    address.write(selectionText(next, rows));
  };
  const latest = useRef(selection);
  latest.current = selection;
  return {
    selection,
    tasks,
    everChosen: ever.current,
    toggle: (uid, range) => choose(toggled(latest.current, uid, rows, range)),
    toggleAll: () =>
      choose(
        tasks.length === rows.length ? NOTHING : { uids: new Set(rows.map((row) => row.uid)), anchor: null },
      ),
    clear: () => choose(NOTHING),
  };
}

/** Takes the selection from the address when it changes by other hands than ours, and writes ours into it. */
function useAddress(rows: readonly TaskView[], loaded: boolean, take: (selection: Selection) => void) {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const here = path === "/";
  const text = here ? (new URLSearchParams(search).get("sel") ?? "") : null;
  const known = useRef("");
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows that change later do not choose anything
  useEffect(() => {
    if (text === null || !loaded || text === known.current) return;
    known.current = text;
    take(selectionOf(text, rows));
  }, [text, loaded]);
  return {
    write: (next: string) => {
      if (!here || next === known.current) return;
      known.current = next;
      const query = withSelection(search, next);
      // A step that "back" would have to undo one by one is no step.
      navigate(query === "" ? "/" : `/?${query}`, { replace: true });
    },
  };
}
