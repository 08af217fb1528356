/** Words in the reader's language: from the browser, switchable, remembered. Placeholders are checked by the compiler. */

import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { en } from "./en";
import type { Language } from "./format";

export type { Language } from "./format";
export type Key = keyof typeof en;

type Placeholders<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;
type Arguments<K extends Key> = [Placeholders<(typeof en)[K]>] extends [never]
  ? []
  : [values: Record<Placeholders<(typeof en)[K]>, string | number>];

export type Translate = <K extends Key>(key: K, ...values: Arguments<K>) => string;

type Catalogue = Record<Key, string>;
const CATALOGUES: Partial<Record<Language, Catalogue>> & { en: Catalogue } = { en };
const STORED = "repack.language";

/** Fetch the words of a language before it is shown; English is there from the start. */
export async function loadLanguage(language: Language): Promise<void> {
  if (language === "zh-CN") CATALOGUES["zh-CN"] ??= (await import("./zh-CN")).zhCN;
}

export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Of `one task|many tasks` the form that fits the number `n`; a language without such forms has one text. */
export function formFor(text: string, n: string | number | undefined): string {
  const [one = "", many = one] = text.split("|");
  return String(n) === "1" ? one : many;
}

export function translator(language: Language): Translate {
  const catalogue = CATALOGUES[language] ?? en;
  return (key, ...values) => {
    const given: Record<string, string | number> = values[0] ?? {};
    return fill(formFor(catalogue[key], given.n), given);
  };
}

/** Whether there is a word for a key that is put together from data, such as `reason.${reason}`. */
export function isKey(key: string): key is Key {
  return Object.hasOwn(en, key);
}

export function preferredLanguage(stored: string | null, browser: readonly string[]): Language {
  if (stored === "en" || stored === "zh-CN") return stored;
  const first = browser
    .map((tag) => tag.toLowerCase())
    .find((tag) => tag.startsWith("zh") || tag.startsWith("en"));
  return first?.startsWith("zh") ? "zh-CN" : "en";
}

interface Words {
  language: Language;
  t: Translate;
  setLanguage: (language: Language) => void;
}

const Context = createContext<Words | null>(null);

export function useWords(): Words {
  const words = useContext(Context);
  if (words === null) throw new Error("useWords needs a LanguageProvider above it");
  return words;
}

/** The language that this browser's user reads. */
export const ownLanguage = (): Language => preferredLanguage(read(), navigator.languages);

function read(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

export function LanguageProvider({ children, initial }: { children: ReactNode; initial?: Language }) {
  const [language, setLanguage] = useState<Language>(() => initial ?? ownLanguage());
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const words = useMemo<Words>(
    () => ({
      language,
      t: translator(language),
      setLanguage: (chosen) => {
        void loadLanguage(chosen).then(() => setLanguage(chosen));
        try {
          localStorage.setItem(STORED, chosen);
        } catch {
          // Not remembered, then; the choice holds until the page is left.
        }
      },
    }),
    [language],
  );
  return <Context.Provider value={words}>{children}</Context.Provider>;
}
