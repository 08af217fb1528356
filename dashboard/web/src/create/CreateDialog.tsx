import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { api, toApiError } from "../api/client";
import type { TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useNamedTask } from "../realtime/live";
import { difyOf } from "../task/dify";
import { listPath } from "../tasks/listAddress";
import { Dialog } from "../ui/Dialog";
import { useIsNarrow } from "../ui/narrow";
import { ProblemNote } from "../ui/ProblemNote";
import { setTaste } from "../ui/taste";
import { CreateForm } from "./CreateForm";
import { type Prefill, prefillOf } from "./prefill";

/** The dialog of `/new`: waits for the server's settings, and for the task that the form is a copy of. */
export default function CreateDialog() {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const narrow = useIsNarrow();
  useFocusReturn();
  const [prefill] = useState(() => prefillOf(window.location.search));
  useEffect(() => {
    if (prefill.dify !== null && difyOf(prefill.dify) !== null) setTaste({ dify: prefill.dify.trim() });
  }, [prefill]);
  const config = useQuery({ queryKey: ["config"], queryFn: api.config, staleTime: Number.POSITIVE_INFINITY });
  const copied = useCopied(prefill);
  const title = t(prefill.from ? "create.title.again" : "create.title");
  return (
    <Dialog opened onClose={() => navigate(listPath())} title={title} width={640} fullScreen={narrow}>
      {(config.isPending || copied === "loading") && <Skeleton height={260} />}
      {config.isError && <ProblemNote error={toApiError(config.error)} title={t("create.configFailed")} />}
      {config.data && copied !== "loading" && (
        <CreateForm config={config.data} prefill={prefill} copied={copied ?? undefined} />
      )}
    </Dialog>
  );
}

/** The task that the form is a copy of; it may have gone meanwhile. */
function useCopied(prefill: Prefill): TaskView | "loading" | null {
  const { from } = prefill;
  const live = useNamedTask(from?.namespace ?? "", from?.name ?? "");
  const asked = useQuery({
    queryKey: ["find", from?.namespace, from?.name],
    queryFn: () => api.find(from?.namespace ?? "", from?.name ?? ""),
    enabled: from !== null && live === undefined,
  });
  if (from === null) return null;
  return live ?? (asked.isPending ? "loading" : (asked.data?.items[0] ?? null));
}

/** The dialog is an address, so it ends by being removed: before that Mantine has no time to give the focus back. */
function useFocusReturn(): void {
  const [opener] = useState(() => document.activeElement);
  useEffect(() => {
    return () => {
      const taken = document.activeElement !== null && document.activeElement !== document.body;
      if (!taken && opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, [opener]);
}
