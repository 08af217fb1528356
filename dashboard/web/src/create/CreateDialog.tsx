import { Button, Checkbox, SegmentedControl, Skeleton, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type ApiError, api, toApiError } from "../api/client";
import type { Arch, ClientConfig, Source } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../realtime/live";
import { taskPath } from "../tasks/actions";
import { Dialog } from "../ui/Dialog";
import { useIsNarrow } from "../ui/narrow";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./CreateDialog.module.css";
import { type Draft, type DraftField, faultsOf, fieldOf, firstDraft, toNewTask } from "./draft";
import { useDropped } from "./FileDrop";
import { LinkField, read } from "./LinkField";
import { UploadDrop } from "./UploadDrop";
import { type Uploading, useUpload } from "./useUpload";

type Way = "upload" | "link";

export default function CreateDialog() {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const narrow = useIsNarrow();
  useFocusReturn();
  const config = useQuery({ queryKey: ["config"], queryFn: api.config, staleTime: Number.POSITIVE_INFINITY });
  return (
    <Dialog opened onClose={() => navigate("/")} title={t("create.title")} width={600} fullScreen={narrow}>
      {config.isPending && <Skeleton height={260} />}
      {config.isError && <ProblemNote error={toApiError(config.error)} title={t("create.configFailed")} />}
      {config.data && <Form config={config.data} />}
    </Dialog>
  );
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

function Form({ config }: { config: ClientConfig }) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const live = useLive();
  const [link, setLink] = useState(() => new URLSearchParams(window.location.search).get("plugin") ?? "");
  const [way, setWay] = useState<Way>(link === "" ? "upload" : "link");
  const [draft, setDraft] = useState<Draft>(() => firstDraft(config));
  const [tried, setTried] = useState(false);
  const uploading = useUpload(config.limits.maxUploadBytes);
  useDroppedInto(uploading, () => setWay("upload"));

  const reading = useMemo(() => read(link, config.sources, t), [link, config.sources, t]);
  const source = way === "link" ? reading.source : uploaded(uploading);
  const create = useMutation({
    mutationFn: (from: Source) => api.create(toNewTask(draft, from, config)),
    onSuccess: (task) => {
      live.store.offer(task);
      navigate(taskPath(task));
    },
  });
  const refused = create.isError ? toApiError(create.error) : null;
  const faults = tried ? faultsOf(draft) : new Set<DraftField>();
  const noSource =
    tried && source === null && uploading.state.kind !== "sending" ? t("create.fault.source") : null;
  const change = (changed: Partial<Draft>) => {
    setDraft({ ...draft, ...changed });
    if (create.isError) create.reset();
  };

  const form = useRef<HTMLFormElement>(null);
  // The dialog was open before the settings came, so it could not find where the work begins.
  useEffect(() => form.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus(), []);

  return (
    <form
      ref={form}
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (source !== null && faultsOf(draft).size === 0) create.mutate(source);
      }}
      noValidate
    >
      <SegmentedControl
        fullWidth
        aria-label={t("create.tab")}
        value={way}
        onChange={(value) => setWay(value as Way)}
        data={[
          { value: "upload", label: t("create.tab.upload"), disabled: !config.sources.includes("Upload") },
          { value: "link", label: t("create.tab.link"), disabled: !config.sources.includes("URL") },
        ]}
      />
      {way === "upload" ? (
        <UploadDrop uploading={uploading} maxBytes={config.limits.maxUploadBytes} fault={noSource} />
      ) : (
        <LinkField
          text={link}
          onChange={(text) => {
            setLink(text);
            if (create.isError) create.reset();
          }}
          reading={reading}
          fault={refusedField(refused, "source") ?? (link === "" ? noSource : null)}
        />
      )}
      <Fields config={config} draft={draft} change={change} faults={faults} refused={refused} />
      {refused !== null && fieldOf(refused.field) === null && <ProblemNote error={refused} />}
      {refused !== null && way === "upload" && fieldOf(refused.field) === "source" && (
        <ProblemNote error={refused} />
      )}
      <div className={styles.buttons}>
        <Button variant="default" onClick={() => navigate("/")}>
          {t("action.back")}
        </Button>
        <Button
          type="submit"
          loading={create.isPending}
          disabled={uploading.state.kind === "sending" && way === "upload"}
        >
          {t("create.submit")}
        </Button>
      </div>
    </form>
  );
}

function uploaded(uploading: Uploading): Source | null {
  const { state } = uploading;
  return state.kind === "done" ? { type: "Upload", upload: { key: state.upload.key } } : null;
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

interface FieldsProps {
  config: ClientConfig;
  draft: Draft;
  change: (changed: Partial<Draft>) => void;
  faults: ReadonlySet<DraftField>;
  refused: ApiError | null;
}

const ALL_TARGETS: readonly Arch[] = ["amd64", "arm64", "universal"];

function Fields({ config, draft, change, faults, refused }: FieldsProps) {
  const { t } = useWords();
  const error = (field: DraftField) =>
    refusedField(refused, field) ?? (faults.has(field) ? t(`create.fault.${field}`) : null);
  const later = ALL_TARGETS.some((arch) => !config.targets.includes(arch));
  return (
    <>
      <Checkbox.Group
        label={t("create.targets")}
        description={t("create.targets.help")}
        error={error("targets")}
        value={[...draft.targets]}
        onChange={(targets) => change({ targets: targets as Arch[] })}
      >
        <div className={styles.targets}>
          {config.targets.map((arch) => (
            <Checkbox key={arch} value={arch} label={t(`target.${arch}`)} />
          ))}
          {later && <span className="muted">{t("create.targets.later")}</span>}
        </div>
      </Checkbox.Group>
      <TextInput
        label={t("create.mirror")}
        description={t("create.mirror.help")}
        placeholder="https://…/simple"
        type="url"
        value={draft.mirror}
        error={error("mirror")}
        onChange={(event) => change({ mirror: event.currentTarget.value.trim() })}
      />
      <details className={styles.more} open={error("python") !== null || error("name") !== null || undefined}>
        <summary>{t("create.more")}</summary>
        <div className={styles.pair}>
          <TextInput
            label={t("create.python")}
            description={t("create.python.help")}
            value={draft.python}
            error={error("python")}
            onChange={(event) => change({ python: event.currentTarget.value.trim() })}
          />
          <TextInput
            label={t("create.name")}
            description={t("create.name.help")}
            value={draft.name}
            error={error("name")}
            onChange={(event) => change({ name: event.currentTarget.value.trim() })}
          />
        </div>
      </details>
    </>
  );
}
