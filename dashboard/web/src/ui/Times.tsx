import { useWords } from "../i18n";
import { ago, duration, moment, shortMoment, toMillis } from "../i18n/format";
import { useNow, useNowWhile } from "./clock";
import { useTaste } from "./taste";

/** A moment as "3 min ago", with the exact one on hover; or the other way round for who likes it so. */
export function Ago({ at }: { at: string | null | undefined }) {
  const { language } = useWords();
  const now = useNow();
  const isExact = useTaste().time === "exact";
  const value = toMillis(at);
  if (value === null) return null;
  const relative = ago(value, now, language);
  return (
    <time dateTime={at ?? undefined} title={isExact ? relative : moment(value, language)}>
      {isExact ? shortMoment(value, now, language) : relative}
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
