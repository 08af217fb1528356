import { useCallback, useEffect, useRef, useState } from "react";
import { type ApiError, toApiError, type UploadHandle, upload } from "../api/client";
import type { Upload } from "../api/types";
import { type Refusal, refusal } from "./draft";

export type UploadState =
  | { kind: "none" }
  | { kind: "refused"; file: File; why: Refusal }
  | { kind: "sending"; file: File; sent: number; total: number }
  | { kind: "done"; file: File; upload: Upload }
  | { kind: "failed"; file: File; error: ApiError };

const NONE: UploadState = { kind: "none" };

export interface Uploading {
  state: UploadState;
  send: (file: File) => void;
  clear: () => void;
}

/** Sends one file at a time; choosing another, clearing or leaving the form cancels the one on its way. */
export function useUpload(maxBytes: number): Uploading {
  const [state, setState] = useState<UploadState>(NONE);
  const running = useRef<UploadHandle | null>(null);

  const stop = useCallback(() => {
    running.current?.cancel();
    running.current = null;
  }, []);

  const send = useCallback(
    (file: File) => {
      stop();
      const why = refusal(file, maxBytes);
      if (why !== null) {
        setState({ kind: "refused", file, why });
        return;
      }
      setState({ kind: "sending", file, sent: 0, total: file.size });
      const handle = upload(file, (sent, total) => setState({ kind: "sending", file, sent, total }));
      running.current = handle;
      const finish = (result: UploadState) => running.current === handle && setState(result);
      handle.done.then(
        (done) => finish({ kind: "done", file, upload: done }),
        (error: unknown) => finish({ kind: "failed", file, error: toApiError(error) }),
      );
    },
    [maxBytes, stop],
  );

  const clear = useCallback(() => {
    stop();
    setState(NONE);
  }, [stop]);

  useEffect(() => stop, [stop]);
  return { state, send, clear };
}
