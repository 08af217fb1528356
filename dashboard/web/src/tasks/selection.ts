/** Which rows are chosen, how a click changes that, and how it stands in the address. Pure; the hook is useSelection.ts. */

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

/** More do not fit into an address that mail programs and chats leave whole. */
export const MOST_IN_ADDRESS = 50;
/** What stands there when more are chosen, and that is every row that the filter shows. */
export const ALL = "all";

/** What the address says of a selection; "" for none, and for one that is too long to stand there. */
export function selectionText(selection: Selection, rows: readonly { uid: string }[]): string {
  const { uids } = selection;
  if (uids.size <= MOST_IN_ADDRESS) return [...uids].join(",");
  return uids.size === rows.length && rows.every((row) => uids.has(row.uid)) ? ALL : "";
}

/** The selection that an address names; what is not there (any more) is left out when the rows are known. */
export function selectionOf(text: string, rows: readonly { uid: string }[]): Selection {
  if (text === "") return NOTHING;
  const uids = text === ALL ? rows.map((row) => row.uid) : text.split(",").slice(0, MOST_IN_ADDRESS);
  return { uids: new Set(uids), anchor: null };
}

/** A query with the selection in it, or without one. */
export function withSelection(search: string, text: string): string {
  const query = new URLSearchParams(search);
  if (text === "") query.delete("sel");
  else query.set("sel", text);
  return query.toString().replaceAll("%2C", ",");
}
