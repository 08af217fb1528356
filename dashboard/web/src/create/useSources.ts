import { useEffect, useMemo, useRef, useState } from "react";
import type { ClientConfig, Source, TaskView } from "../api/types";
import { useWords } from "../i18n";
import { useTasks } from "../realtime/live";
import { entriesOf, sourcesOf } from "./batch";
import { useDropped } from "./FileDrop";
import { type Pick, sourceOfPick } from "./picks";
import { type Prefill, textOf } from "./prefill";
import { type Uploading, useUpload } from "./useUpload";
import { rememberWay, type Way, waysOf } from "./ways";

/** The sources that the form was given, by whichever way. */
export function useSources(config: ClientConfig, prefill: Prefill, copied: TaskView | undefined) {
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

export type Sources = ReturnType<typeof useSources>;

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
