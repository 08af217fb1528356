import { Button, CloseButton, Progress } from "@mantine/core";
import { useRef } from "react";
import { useWords } from "../i18n";
import { bytes } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./CreateDialog.module.css";
import type { Uploading } from "./useUpload";

/** Where a file is dropped or chosen, and how far its upload is. Files may be dropped anywhere on the page as well. */
export function UploadDrop({
  uploading,
  maxBytes,
  fault,
  same,
}: {
  uploading: Uploading;
  maxBytes: number;
  fault: string | null;
  /** Key of the file that the copied task was made of, as long as no other one is chosen. */
  same: string | null;
}) {
  const { t, language } = useWords();
  const { state } = uploading;
  const input = useRef<HTMLInputElement>(null);
  const choose = () => input.current?.click();
  return (
    <div>
      <input
        ref={input}
        type="file"
        accept=".difypkg,.zip"
        className="unseen"
        tabIndex={-1}
        aria-label={t("create.drop.choose")}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = "";
          if (file) uploading.send(file);
        }}
      />
      {same !== null && (
        <div className={styles.chosen}>
          <Icon name="check" size={20} />
          <div className={styles.chosenText}>
            <div className="ellipsis">{same.replace(/^[0-9a-f]{32}-/, "")}</div>
            <div className="muted">{t("create.upload.same")}</div>
          </div>
          <Button size="compact-sm" variant="subtle" onClick={choose}>
            {t("create.upload.other")}
          </Button>
        </div>
      )}
      {same !== null ? null : state.kind === "none" || state.kind === "refused" || state.kind === "failed" ? (
        <div className={styles.drop}>
          <Icon name="upload" size={26} />
          <strong>{t("create.drop.title")}</strong>
          <span className="muted">{t("create.drop.or")}</span>
          <Button variant="default" onClick={choose} data-autofocus>
            {t("create.drop.choose")}
          </Button>
          <span className="muted">{t("create.drop.limit", { size: bytes(maxBytes, language) })}</span>
        </div>
      ) : (
        <Chosen uploading={uploading} onOther={choose} />
      )}
      {state.kind === "refused" && (
        <p role="alert" className={styles.fault}>
          {t(`create.refused.${state.why}`, {
            name: state.file.name,
            size: bytes(state.file.size, language),
            limit: bytes(maxBytes, language),
          })}
        </p>
      )}
      {state.kind === "failed" && <ProblemNote error={state.error} />}
      {fault !== null && state.kind === "none" && (
        <p role="alert" className={styles.fault}>
          {fault}
        </p>
      )}
    </div>
  );
}

function Chosen({ uploading, onOther }: { uploading: Uploading; onOther: () => void }) {
  const { t, language } = useWords();
  const { state } = uploading;
  if (state.kind !== "sending" && state.kind !== "done") return null;
  const { file } = state;
  return (
    <div className={styles.chosen}>
      <Icon name={state.kind === "done" ? "check" : "box"} size={20} />
      <div className={styles.chosenText}>
        <div className="ellipsis" title={file.name}>
          {file.name}
        </div>
        {state.kind === "sending" ? (
          <>
            <Progress
              value={state.total > 0 ? (100 * state.sent) / state.total : 0}
              aria-label={t("create.upload.sending", { name: file.name })}
            />
            <div className="muted">
              {t("transfer.of", { done: bytes(state.sent, language), total: bytes(state.total, language) })}
            </div>
          </>
        ) : (
          <div className="muted ellipsis">
            {t("create.upload.done")} · {bytes(state.upload.sizeBytes, language)} ·{" "}
            <span className="mono" title={state.upload.sha256}>
              sha256 {state.upload.sha256.slice(0, 12)}…
            </span>
          </div>
        )}
      </div>
      {state.kind === "sending" ? (
        <CloseButton aria-label={t("create.upload.cancel")} onClick={uploading.clear} />
      ) : (
        <Button size="compact-sm" variant="subtle" onClick={onOther}>
          {t("create.upload.other")}
        </Button>
      )}
    </div>
  );
}
