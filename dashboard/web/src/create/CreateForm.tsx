import { Button } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { ClientConfig, NewTask, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { taskPath } from "../tasks/actions";
import { listPath } from "../tasks/listAddress";
import { Segments } from "../ui/Segments";
import { useToasts } from "../ui/Toasts";
import styles from "./CreateDialog.module.css";
import { type Draft, type DraftField, faultsOf, firstDraft, toNewTask } from "./draft";
import { Fields } from "./Fields";
import { PlanPanel, useDryRun } from "./PlanPanel";
import type { Prefill } from "./prefill";
import { Refusals, refusalOf, refusedField } from "./Refusals";
import { SourceChooser } from "./SourceChooser";
import { useCreate } from "./useCreate";
import { useSources } from "./useSources";

interface Props {
  config: ClientConfig;
  prefill: Prefill;
  copied: TaskView | undefined;
}

/** Where the plugin comes from, what it is made for, a look ahead, and the start. */
export function CreateForm({ config, prefill, copied }: Props) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const given = useSources(config, prefill, copied);
  const { ways, way, setWay, sources } = given;
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
      <SourceChooser given={given} config={config} fault={sourceFault} changed={changed} />
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
      <Refusals creating={create.state} way={way} />
      <div className={styles.buttons}>
        <Button variant="default" onClick={() => navigate(listPath())}>
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
      navigate(listPath());
    }
  };
}
