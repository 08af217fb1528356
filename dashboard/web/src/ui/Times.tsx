import { useWords } from "../i18n";
import { ago, duration, moment, toMillis } from "../i18n/format";
import { useNow, useNowWhile } from "./clock";

/** A moment as "3 min ago", with the exact one on hover. */
export function Ago({ at }: { at: string | null | undefined }) {
  const { language } = useWords();
  const now = useNow();
  const value = toMillis(at);
  if (value === null) return null;
  return (
    <time dateTime={at ?? undefined} title={moment(value, language)}>
      {ago(value, now, language)}
    </time>
  );
}

export function Moment({ at }: { at: string | null | undefined }) {
  const { language } = useWords();
  const value = toMillis(at);
  return value === null ? null : <time dateTime={at ?? undefined}>{moment(value, language)}</time>;
}

/** Time from one moment to another, or up to now while there is no end. */
export function Elapsed({ from, to }: { from: string | null | undefined; to?: string | null | undefined }) {
  const { language } = useWords();
  const end = toMillis(to);
  const now = useNowWhile(end === null);
  const start = toMillis(from);
  if (start === null) return null;
  return <span>{duration((end ?? now) - start, language)}</span>;
}
