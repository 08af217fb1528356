import { useState } from "react";

/** How somebody likes to read logs; wrapping and time are remembered, following begins anew with each page. */
export interface LogTaste {
  follow: boolean;
  wrap: boolean;
  time: boolean;
}

const STORED = "repack.log";

function remembered(): LogTaste {
  const narrow = window.matchMedia("(max-width: 700px)").matches;
  const taste: LogTaste = { follow: true, wrap: narrow, time: false };
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    if (typeof stored !== "object" || stored === null) return taste;
    const { wrap, time } = stored as Partial<LogTaste>;
    return { follow: true, wrap: wrap ?? taste.wrap, time: time ?? taste.time };
  } catch {
    return taste;
  }
}

export function useLogTaste(): [LogTaste, (taste: LogTaste) => void] {
  const [taste, setTaste] = useState(remembered);
  const change = (changed: LogTaste) => {
    setTaste(changed);
    try {
      localStorage.setItem(STORED, JSON.stringify({ wrap: changed.wrap, time: changed.time }));
    } catch {
      // Not remembered, then.
    }
  };
  return [taste, change];
}
