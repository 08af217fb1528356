/** Numbers, sizes, durations and moments in the reader's language. Pure: the moment "now" is an argument. */

export type Language = "en" | "zh-CN";

const numbers = new Map<string, Intl.NumberFormat>();

function numberFormat(language: Language, digits: number): Intl.NumberFormat {
  const key = `${language}/${digits}`;
  let format = numbers.get(key);
  if (!format) {
    format = new Intl.NumberFormat(language, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    numbers.set(key, format);
  }
  return format;
}

export function integer(value: number, language: Language): string {
  return numberFormat(language, 0).format(value);
}

const MB = 1_000_000;

/** Bytes in MB with one decimal; small ones in kB or B, so that nothing reads "0.0 MB". */
export function bytes(value: number, language: Language): string {
  if (value < 1_000) return `${numberFormat(language, 0).format(value)} B`;
  if (value < MB) return `${numberFormat(language, 1).format(value / 1_000)} kB`;
  if (value < 10_000 * MB) return `${numberFormat(language, 1).format(value / MB)} MB`;
  return `${numberFormat(language, 1).format(value / MB / 1_000)} GB`;
}

/** A running time: `0.4 s`, `37 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(milliseconds: number, language: Language): string {
  const words = language === "en" ? { s: " s", m: " min", h: " h" } : { s: " 秒", m: " 分", h: " 小时" };
  const total = Math.max(0, milliseconds) / 1000;
  if (total > 0 && total < 0.1) return `< ${numberFormat(language, 1).format(0.1)}${words.s}`;
  if (total < 1) return `${numberFormat(language, 1).format(total)}${words.s}`;
  const seconds = Math.floor(total);
  if (seconds < 60) return `${seconds}${words.s}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${words.m} ${String(seconds % 60).padStart(2, "0")}${words.s}`;
  return `${Math.floor(minutes / 60)}${words.h} ${String(minutes % 60).padStart(2, "0")}${words.m}`;
}

/** A length of time as a rule says it: `30 minutes`, `24 hours`, `7 days`. */
export function spell(seconds: number, language: Language): string {
  const [value, unit]: [number, "minute" | "hour" | "day"] =
    seconds < 3_600
      ? [seconds / 60, "minute"]
      : seconds < 172_800
        ? [seconds / 3_600, "hour"]
        : [seconds / 86_400, "day"];
  const digits = Number.isInteger(value) ? 0 : 1;
  if (language === "zh-CN") {
    // As everywhere on the page, a space stands between a number and a Chinese word.
    const words = { minute: "分钟", hour: "小时", day: "天" };
    return `${numberFormat(language, digits).format(value)} ${words[unit]}`;
  }
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: "long",
    maximumFractionDigits: digits,
  }).format(value);
}

/** How long ago, in words; the exact moment belongs into the element's title. */
export function ago(moment: number, now: number, language: Language): string {
  const seconds = Math.max(0, Math.round((now - moment) / 1000));
  const words =
    language === "en"
      ? { now: "just now", s: " s ago", m: " min ago", h: " h ago", d: " d ago" }
      : { now: "刚刚", s: " 秒前", m: " 分钟前", h: " 小时前", d: " 天前" };
  if (seconds < 10) return words.now;
  if (seconds < 60) return `${seconds}${words.s}`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}${words.m}`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}${words.h}`;
  return `${Math.floor(seconds / 86_400)}${words.d}`;
}

export function moment(value: number, language: Language): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(value);
}

/** A moment as short as it is clear: the time of today, or the day with it; another year says so. */
export function shortMoment(value: number, now: number, language: Language): string {
  const [then, today] = [new Date(value), new Date(now)];
  const time = { hour: "2-digit", minute: "2-digit", hour12: false } as const;
  if (then.toDateString() === today.toDateString()) {
    return new Intl.DateTimeFormat(language, { ...time, second: "2-digit" }).format(value);
  }
  const day = { month: "numeric", day: "numeric" } as const;
  const year = then.getFullYear() === today.getFullYear() ? {} : ({ year: "numeric" } as const);
  return new Intl.DateTimeFormat(language, { ...year, ...day, ...time }).format(value);
}

export function clock(value: number, language: Language): string {
  return new Intl.DateTimeFormat(language, { timeStyle: "medium", hour12: false }).format(value);
}

export function toMillis(iso: string | null | undefined): number | null {
  if (!iso) return null;
  const value = Date.parse(iso);
  return Number.isNaN(value) ? null : value;
}
