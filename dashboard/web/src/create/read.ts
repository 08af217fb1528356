/** What a pasted text means here, in words. Pure. */

import type { Source, SourceType } from "../api/types";
import type { Translate } from "../i18n";
import { asUrl, type Understood, understand } from "./source";

export type Reading = { source: Source; says: string } | { source: null; says: string | null };

/** What a pasted text means here, where the workers can fetch only from `offered`. Pure. */
export function read(pasted: string, offered: readonly SourceType[], t: Translate): Reading {
  const understood = understand(pasted);
  switch (understood.kind) {
    case "empty":
      return { source: null, says: null };
    case "local":
      return { source: null, says: t("create.link.local") };
    case "unclear":
      return { source: null, says: t(`create.link.${understood.why}`) };
    case "source":
      return complete(understood, offered, t);
  }
}

function complete(
  named: Understood & { kind: "source" },
  offered: readonly SourceType[],
  t: Translate,
): Reading {
  const { source, label } = named;
  if (offered.includes(source.type)) return { source, says: words(source, label, t) };
  const plain = asUrl(source);
  if (plain !== null && offered.includes("URL")) return { source: plain, says: t("create.link.url") };
  const missing = source.type === "GitHub" ? "create.link.noGithub" : "create.link.noMarketplace";
  return { source: null, says: t(missing, { label }) };
}

function words(source: Source, label: string, t: Translate): string {
  if (source.type === "Marketplace") return t("create.link.marketplace", { label });
  if (source.type === "GitHub") return t("create.link.github", { label });
  return t("create.link.url");
}
