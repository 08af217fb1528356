/** What is chosen in the Marketplace. Pure. */

import type { MarketplacePlugin, Source } from "../api/types";
import type { Language } from "../i18n/format";

export interface Pick {
  plugin: MarketplacePlugin;
  /** null: the latest one, looked up when the task runs. */
  version: string | null;
}

export const same = (a: MarketplacePlugin, b: MarketplacePlugin) =>
  a.author === b.author && a.name === b.name;

/** The label in the reader's language, as the plugin's author gave it. */
export function textIn(texts: Record<string, string> | undefined, language: Language): string {
  const key = language === "en" ? "en_US" : "zh_Hans";
  return texts?.[key] ?? texts?.en_US ?? Object.values(texts ?? {})[0] ?? "";
}

export function sourceOfPick({ plugin, version }: Pick): Source {
  const { author, name } = plugin;
  return { type: "Marketplace", marketplace: { author, name, ...(version ? { version } : {}) } };
}
