import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client";
import type { TaskView } from "../api/types";

/** The files beside each package of a task, by target; nothing while it is not known. */
export function useCompanions(task: TaskView): ReadonlyMap<string, readonly string[]> {
  const made = task.status.artifacts?.length ?? 0;
  const { data } = useQuery({
    queryKey: ["companions", task.uid, made],
    queryFn: () => api.companions(task.uid),
    enabled: made > 0,
    retry: false,
  });
  return new Map(data?.map(({ target, kinds }) => [target, kinds]));
}
