import { Progress } from "@mantine/core";
import { useEffect, useState } from "react";
import type { StageProgress, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { bytes, duration } from "../i18n/format";
import { useNow } from "../ui/clock";
import styles from "./TransferBar.module.css";
import { movingStage } from "./timeline";
import { moved, NO_TRANSFER, remaining, speedOf } from "./transfer";

const STALLED_AFTER_MS = 5_000;

/** Bytes, speed and time left of the stage whose bytes move. Without a total: a moving bar and bytes only. */
export function TransferBar({ task }: { task: TaskView }) {
  const stage = movingStage(task);
  if (stage === null) return null;
  return <Moving key={`${task.progress?.attempt}/${stage.stage}`} stage={stage} />;
}

function Moving({ stage }: { stage: StageProgress }) {
  const { t, language } = useWords();
  const now = useNow();
  const total = stage.bytesTotal ?? null;
  const { speed, left, stalled } = useSpeed(stage.bytesDone, total, now);
  const done = bytes(stage.bytesDone, language);
  const percent = total ? Math.min(100, (100 * stage.bytesDone) / total) : null;
  return (
    <div className={styles.transfer}>
      {percent === null ? (
        <div
          className={styles.unknown}
          role="progressbar"
          aria-label={t("transfer.label")}
          aria-valuetext={done}
          tabIndex={-1}
        >
          <span />
        </div>
      ) : (
        <Progress value={percent} size={8} aria-label={t("transfer.label")} transitionDuration={200} />
      )}
      <div className={styles.figures}>
        <span>{total === null ? done : t("transfer.of", { done, total: bytes(total, language) })}</span>
        {percent !== null && <span>{Math.floor(percent)} %</span>}
        {stalled && <span>{t("transfer.stalled")}</span>}
        {!stalled && speed !== null && <span>{t("transfer.speed", { speed: bytes(speed, language) })}</span>}
        {!stalled && left !== null && (
          <span>{t("transfer.left", { time: duration(left * 1000, language) })}</span>
        )}
      </div>
    </div>
  );
}

function useSpeed(done: number, total: number | null, now: number) {
  const [transfer, setTransfer] = useState(NO_TRANSFER);
  // The moment is taken when the bytes change, or when a second has passed.
  useEffect(() => setTransfer((before) => moved(before, { at: Date.now(), bytes: done })), [done]);
  const [announced, left] = remaining(transfer, total, now);
  useEffect(() => {
    if (announced.endsAt !== transfer.endsAt)
      setTransfer((before) => ({ ...before, endsAt: announced.endsAt }));
  }, [announced.endsAt, transfer.endsAt]);
  const last = transfer.samples.at(-1);
  const stalled = last !== undefined && done !== total && now - last.at > STALLED_AFTER_MS;
  return { speed: speedOf(transfer, now), left, stalled };
}
