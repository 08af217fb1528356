/** Where the list was left: who comes back to it, from a task or the form, finds filter and order as they were. */

let search = "";

export function rememberList(left: string): void {
  search = left;
}

/** The query of the list as it was left, without `?`. */
export const listSearch = (): string => search;

/** The address of the list as it was left. */
export const listPath = (): string => (search === "" ? "/" : `/?${search}`);
