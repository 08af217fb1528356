/** Which rows are chosen, and how a click changes that. Pure, apart from the hook at the end. */

import { useMemo, useRef, useState } from "react";
import type { TaskView } from "../api/types";

export interface Selection {
  uids: ReadonlySet<string>;
  /** Where a range begins: the row that was chosen last. */
  anchor: string | null;
}

export const NOTHING: Selection = { uids: new Set(), anchor: null };

/** Choose a row or leave it; with `range` everything between it and the row chosen last. */
export function toggled(
  selection: Selection,
  uid: string,
  rows: readonly { uid: string }[],
  range: boolean,
): Selection {
  const uids = new Set(selection.uids);
  const from = rows.findIndex((row) => row.uid === selection.anchor);
  const to = rows.findIndex((row) => row.uid === uid);
  if (range && from >= 0 && to >= 0) {
    for (const row of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) uids.add(row.uid);
  } else if (!uids.delete(uid)) uids.add(uid);
  return { uids, anchor: uid };
}

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

/** The rows that are chosen among those shown: what the filter hides is not acted upon. */
export function useSelection(rows: readonly TaskView[]): Chosen {
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const tasks = useMemo(
    () => (selection.uids.size === 0 ? [] : rows.filter((row) => selection.uids.has(row.uid))),
    [rows, selection],
  );
  const ever = useRef(false);
  ever.current ||= tasks.length > 0;
  return {
    selection,
    tasks,
    everChosen: ever.current,
    toggle: (uid, range) => setSelection((before) => toggled(before, uid, rows, range)),
    toggleAll: () =>
      setSelection(
        tasks.length === rows.length ? NOTHING : { uids: new Set(rows.map((row) => row.uid)), anchor: null },
      ),
    clear: () => setSelection(NOTHING),
  };
}
