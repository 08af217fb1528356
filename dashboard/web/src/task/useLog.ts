import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { type ApiError, api, toApiError } from "../api/client";
import type { LogLine, LogPage, TaskView } from "../api/types";
import { useLive } from "../realtime/live";
import { EMPTY_LOG, type LogView, withLines } from "../realtime/logs";
import { isFinal } from "../tasks/describe";

const PAGE = 1_000;
/** So many the server gives at once. */
const MOST = 10_000;

export interface TaskLog extends LogView {
  attempt: number;
  attempts: readonly number[];
  loading: boolean;
  error: ApiError | null;
  choose: (attempt: number) => void;
  /** Fetch the thousand lines before the first one, or everything from line `from` on. */
  loadOlder: (from?: number) => void;
}

/** The log of one attempt: its last thousand lines, then live; older ones on demand. Without a choice: the newest. */
export function useLog(task: TaskView): TaskLog {
  const { uid } = task;
  const live = useLive();
  const current = Math.max(1, task.status.attempt ?? 0, task.progress?.attempt ?? 0);
  const [chosen, choose] = useState<number | null>(null);
  const attempt = chosen ?? current;
  const [log, dispatch] = useReducer(reduce, { ...EMPTY_LOG, attempt });
  const [attempts, setAttempts] = useState<readonly number[]>([]);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<ApiError | null>(null);
  const view = log.attempt === attempt ? log : { ...EMPTY_LOG, attempt };

  const shownNow = useRef("");
  shownNow.current = `${uid}/${attempt}`;

  const fetchPage = useCallback(
    async (query: { after?: number; limit?: number }) => {
      const isShown = () => shownNow.current === `${uid}/${attempt}`;
      try {
        let page = await api.log(uid, { attempt, limit: PAGE, ...query });
        dispatch({ type: "lines", attempt, lines: page.items });
        if (!isShown()) return;
        setAttempts(page.attempts);
        setError(null);
        // What was missed may be longer than a page, and no new line may come to show it.
        while (query.after !== undefined && query.limit === undefined && lastOf(page) < page.last) {
          page = await api.log(uid, { attempt, limit: PAGE, after: lastOf(page) });
          dispatch({ type: "lines", attempt, lines: page.items });
        }
      } catch (problem) {
        const failure = toApiError(problem);
        // No attempt has begun: nothing to show is not a failure.
        if (isShown()) setError(failure.problem.status === 404 ? null : failure);
      } finally {
        if (isShown()) setLoading(false);
      }
    },
    [uid, attempt],
  );

  // Lines that came while the connection was away are fetched when it is back, and once when the task has ended.
  const ended = isFinal(task);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `ended` asks once more for the last lines
  useEffect(() => {
    setLoading(true);
    dispatch({ type: "attempt", attempt });
    void fetchPage({});
    return live.followLog(
      uid,
      (data) => dispatch({ type: "lines", ...data }),
      () => void fetchPage({}),
    );
  }, [live, uid, attempt, fetchPage, ended]);

  const { missingAfter } = view;
  useEffect(() => {
    if (missingAfter !== null) void fetchPage({ after: missingAfter });
  }, [missingAfter, fetchPage]);

  const first = view.lines[0]?.n ?? 1;
  const loadOlder = useCallback(
    async (from?: number) => {
      const begin = Math.max(0, (from ?? first - PAGE) - 1);
      setLoading(true);
      // Backwards, so that what is held has no hole even while it grows.
      for (let end = first - 1; end > begin; end -= MOST) {
        const after = Math.max(begin, end - MOST);
        await fetchPage({ after, limit: end - after });
      }
    },
    [first, fetchPage],
  );

  return { ...view, attempts, loading, error, choose, loadOlder: (from) => void loadOlder(from) };
}

/** Number of the page's last line; an empty page ends every search for more. */
function lastOf(page: LogPage): number {
  return page.items.at(-1)?.n ?? Number.POSITIVE_INFINITY;
}

type Held = LogView & { attempt: number };
type Change =
  | { type: "attempt"; attempt: number }
  | { type: "lines"; attempt: number; lines: readonly LogLine[] };

/** Another attempt begins a new log; lines of an attempt that is not shown, such as a late answer's, are dropped. */
function reduce(held: Held, change: Change): Held {
  if (change.type === "attempt") {
    return held.attempt === change.attempt ? held : { ...EMPTY_LOG, attempt: change.attempt };
  }
  if (held.attempt !== change.attempt) return held;
  const log = withLines(held, change.lines);
  return log === held ? held : { ...log, attempt: held.attempt };
}
