import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type ApiError, api, toApiError } from "../api/client";
import type { ClientConfig, NewTask, Source, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useNamedTask, useTasks } from "../realtime/live";
import { taskPath } from "../tasks/actions";
import { Dialog } from "../ui/Dialog";
import { useIsNarrow } from "../ui/narrow";
import { ProblemNote } from "../ui/ProblemNote";
import { Segments } from "../ui/Segments";
import { useToasts } from "../ui/Toasts";
import { entriesOf, sourcesOf } from "./batch";
import styles from "./CreateDialog.module.css";
import { type Draft, type DraftField, faultsOf, fieldOf, firstDraft, toNewTask } from "./draft";
import { Fields } from "./Fields";
import { useDropped } from "./FileDrop";
import { LinksField } from "./LinksField";
import { MarketplacePicker, type Pick } from "./MarketplacePicker";
import { PlanPanel, useDryRun } from "./PlanPanel";
import { type Prefill, prefillOf, textOf } from "./prefill";
import { UploadDrop } from "./UploadDrop";
import { type Creating, useCreate } from "./useCreate";
import { type Uploading, useUpload } from "./useUpload";
import { rememberWay, type Way, waysOf } from "./ways";

export default function CreateDialog() {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const narrow = useIsNarrow();
  useFocusReturn();
  const [prefill] = useState(() => prefillOf(window.location.search));
  const config = useQuery({ queryKey: ["config"], queryFn: api.config, staleTime: Number.POSITIVE_INFINITY });
  const copied = useCopied(prefill);
  const title = t(prefill.from ? "create.title.again" : "create.title");
  return (
    <Dialog opened onClose={() => navigate("/")} title={title} width={640} fullScreen={narrow}>
      {(config.isPending || copied === "loading") && <Skeleton height={260} />}
      {config.isError && <ProblemNote error={toApiError(config.error)} title={t("create.configFailed")} />}
      {config.data && copied !== "loading" && (
        <Form config={config.data} prefill={prefill} copied={copied ?? undefined} />
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

interface FormProps {
  config: ClientConfig;
  prefill: Prefill;
  copied: TaskView | undefined;
}

function Form({ config, prefill, copied }: FormProps) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const given = useGiven(config, prefill, copied);
  const { ways, way, setWay, sources, entries } = given;
  const [draft, setDraft] = useState<Draft>(() => firstDraft(config, prefill, copied));
  const [tried, setTried] = useState(false);
  const leave = useLeaving();
  const create = useCreate((made) => leave(made));
  const dryRun = useDryRun();

  const tasks = sources.map((source) => toNewTask(draft, source, config, copied?.name));
  const refused = refusalOf(create.state);
  const faults = tried ? faultsOf(draft) : new Set<DraftField>();
  const sending = way === "upload" && given.uploading.state.kind === "sending";
  const noSource = tried && sources.length === 0 && !sending ? t("create.fault.source") : null;
  const sourceFault = refusedField(refused, "source") ?? noSource;
  const changed = () => {
    create.reset();
    dryRun.reset();
  };
  const submit = (send: (tasks: NewTask[]) => void) => {
    setTried(true);
    if (tasks.length > 0 && faultsOf(draft).size === 0) send(tasks);
  };
  const form = useRef<HTMLFormElement>(null);
  // The dialog was open before the settings came, so it could not find where the work begins.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another way has another beginning
  useEffect(() => form.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus(), [way]);

  return (
    <form
      ref={form}
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        submit((all) => void create.send(all));
      }}
      noValidate
    >
      <Segments
        wide
        label={t("create.tab")}
        value={way}
        onChange={(value) => {
          setWay(value);
          changed();
        }}
        options={ways.map((value) => ({ value, label: t(`create.tab.${value}`) }))}
      />
      <WhatFrom given={given} config={config} fault={sourceFault} changed={changed} />
      <Fields
        config={config}
        draft={draft}
        change={(part) => {
          setDraft({ ...draft, ...part });
          changed();
        }}
        error={(field) =>
          refusedField(refused, field) ?? (faults.has(field) ? t(`create.fault.${field}`) : null)
        }
        hasName={tasks.length < 2}
      />
      <PlanPanel dryRun={dryRun} />
      <Refusals creating={create.state} entries={entries.length} way={way} />
      <div className={styles.buttons}>
        <Button variant="default" onClick={() => navigate("/")}>
          {t("action.back")}
        </Button>
        {tasks.length < 2 && (
          <Button
            variant="default"
            title={t("plan.check.hint")}
            loading={dryRun.busy}
            disabled={sending}
            onClick={() => submit(([task]) => task && dryRun.start(task))}
          >
            {t("plan.check")}
          </Button>
        )}
        <Button type="submit" loading={create.state.kind === "sending"} disabled={sending}>
          {tasks.length > 1 ? t("create.submitMany", { n: tasks.length }) : t("create.submit")}
        </Button>
      </div>
    </form>
  );
}

/** The sources that the form was given, by whichever way. */
function useGiven(config: ClientConfig, prefill: Prefill, copied: TaskView | undefined) {
  const { t } = useWords();
  const { tasks } = useTasks();
  const again = copied?.spec.source;
  const [link, setLink] = useState(() => (again ? (textOf(again) ?? "") : prefill.link));
  const [ways] = useState(() => waysOf(config));
  const [way, choose] = useState<Way>(() =>
    ways.first(link !== "" ? "link" : again?.upload ? "upload" : null),
  );
  const [picks, setPicks] = useState<readonly Pick[]>([]);
  const uploading = useUpload(config.limits.maxUploadBytes);
  const setWay = (next: Way) => {
    choose(next);
    rememberWay(next);
  };
  useDroppedInto(uploading, () => choose("upload"));
  // Tasks that come and go must not make a long list be read anew each time.
  const known = useRef(tasks);
  if (link === "") known.current = tasks;
  const entries = useMemo(
    () => (way === "link" ? entriesOf(link, config.sources, known.current, t) : []),
    [way, link, config.sources, t],
  );
  const sameFile = again?.upload && uploading.state.kind === "none" ? again : null;
  const sources = useMemo<Source[]>(() => {
    if (way === "link") return sourcesOf(entries);
    if (way === "marketplace") return picks.map(sourceOfPick);
    if (uploading.state.kind === "done")
      return [{ type: "Upload", upload: { key: uploading.state.upload.key } }];
    return sameFile ? [sameFile] : [];
  }, [way, entries, picks, uploading.state, sameFile]);
  return {
    ways: ways.all,
    way,
    setWay,
    link,
    setLink,
    entries,
    picks,
    setPicks,
    uploading,
    sameFile,
    sources,
  };
}

type Given = ReturnType<typeof useGiven>;

function sourceOfPick({ plugin, version }: Pick): Source {
  const { author, name } = plugin;
  return { type: "Marketplace", marketplace: { author, name, ...(version ? { version } : {}) } };
}

interface WhatFromProps {
  given: Given;
  config: ClientConfig;
  fault: string | null;
  changed: () => void;
}

function WhatFrom({ given, config, fault, changed }: WhatFromProps) {
  const { way, uploading, link, setLink, entries, picks, setPicks, setWay, sameFile } = given;
  switch (way) {
    case "upload":
      return (
        <UploadDrop
          uploading={uploading}
          maxBytes={config.limits.maxUploadBytes}
          fault={fault}
          same={sameFile?.upload?.key ?? null}
        />
      );
    case "link":
      return (
        <LinksField
          text={link}
          entries={entries}
          fault={fault}
          onChange={(text) => {
            setLink(text);
            changed();
          }}
        />
      );
    case "marketplace":
      return (
        <MarketplacePicker
          picks={picks}
          fault={fault}
          onType={() => setWay("link")}
          onChange={(next) => {
            setPicks(next);
            changed();
          }}
        />
      );
  }
}

/** Where to go when everything was made: to the one task, or to the list with a note of how many there are. */
function useLeaving(): (made: readonly TaskView[]) => void {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const { say } = useToasts();
  return (made) => {
    const [first] = made;
    if (first && made.length === 1) navigate(taskPath(first));
    else {
      say({ look: "pending", text: t("batch.created", { n: made.length }) });
      navigate("/");
    }
  };
}

function refusalOf(creating: Creating): ApiError | null {
  if (creating.kind !== "failed" || creating.made.length > 0 || creating.failed.length !== 1) return null;
  return creating.failed[0]?.error ?? null;
}

/** What the server refused: beside its field where that can be told, else here; of many tasks each one. */
function Refusals({ creating, way }: { creating: Creating; entries: number; way: Way }) {
  const { t } = useWords();
  if (creating.kind !== "failed") return null;
  const single = refusalOf(creating);
  if (single !== null) {
    const field = fieldOf(single.field);
    return field === null || (field === "source" && way === "upload") ? <ProblemNote error={single} /> : null;
  }
  return (
    <div role="alert" className={styles.refusals}>
      <strong>{t("batch.some", { made: creating.made.length, failed: creating.failed.length })}</strong>
      <ul>
        {creating.failed.map(({ task, error }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list does not change
          <li key={index}>
            <span className="mono">{textOf(task.spec.source) ?? task.spec.source.upload?.key}</span>:{" "}
            {error.problem.detail} {error.problem.hint}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Take what was dropped on the page; of several files the first. */
function useDroppedInto(uploading: Uploading, onTaken: () => void): void {
  const { files, take } = useDropped();
  const { send } = uploading;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each drop is taken once
  useEffect(() => {
    const [first] = files;
    if (!first) return;
    take();
    onTaken();
    send(first);
  }, [files]);
}

function refusedField(refused: ApiError | null, field: DraftField | "source"): string | null {
  if (refused === null || fieldOf(refused.field) !== field) return null;
  return [refused.problem.detail, refused.problem.hint].filter(Boolean).join(" ");
}
