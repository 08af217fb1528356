import { useRef, useState } from "react";
import { type ApiError, api, toApiError } from "../api/client";
import type { NewTask, TaskView } from "../api/types";
import { useLive } from "../realtime/live";
import { inParallel } from "../tasks/parallel";

export interface Failed {
  task: NewTask;
  error: ApiError;
}

export type Creating =
  | { kind: "idle" }
  | { kind: "sending"; done: number; total: number }
  | { kind: "failed"; made: TaskView[]; failed: Failed[] };

/** Creates one task or many; those that could not be made are told, the others go on. */
export function useCreate(onMade: (made: TaskView[]) => void) {
  const { store } = useLive();
  const [state, setState] = useState<Creating>({ kind: "idle" });
  const isSending = useRef(false);
  const send = async (tasks: readonly NewTask[]) => {
    // What is on its way is not sent twice, whatever is pressed or typed meanwhile.
    if (isSending.current) return;
    isSending.current = true;
    let done = 0;
    setState({ kind: "sending", done, total: tasks.length });
    const made: TaskView[] = [];
    const failed: Failed[] = [];
    await inParallel(tasks, async (task) => {
      try {
        const view = await api.create(task);
        store.offer(view);
        made.push(view);
      } catch (error) {
        failed.push({ task, error: toApiError(error) });
      }
      done += 1;
      setState({ kind: "sending", done, total: tasks.length });
    });
    isSending.current = false;
    if (failed.length === 0) onMade(made);
    else setState({ kind: "failed", made, failed });
  };
  return { state, send, reset: () => isSending.current || setState({ kind: "idle" }) };
}
