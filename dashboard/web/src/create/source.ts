/** Understand what was pasted into the one field of the form. Pure; the server and the worker check it again. */

import type { Source, SourceType } from "../api/types";

export type Understood =
  | { kind: "empty" }
  /** A source that can be sent as it is. */
  | { kind: "source"; source: Source; label: string }
  /** A plugin or repository was named, but not which version or file of it. */
  | { kind: "incomplete"; type: SourceType; label: string; missing: "version" | "asset" }
  /** A place on this computer: only an upload can bring it. */
  | { kind: "local"; label: string }
  | { kind: "unclear"; why: "credentials" | "notHttp" | "spaces" | "unknown" };

const MARKETPLACE_HOSTS = new Set(["marketplace.dify.ai", "www.marketplace.dify.ai"]);
const GITHUB_HOSTS = new Set(["github.com", "www.github.com"]);
const PLUGIN =
  /^([A-Za-z0-9][\w.-]{0,63})\/([A-Za-z0-9][\w.-]{0,127})(?:[@:]([0-9][\w.+-]*)(?:@[0-9a-f]{64})?)?$/;
const LOCAL = /^(?:[A-Za-z]:[\\/]|\\\\|~?\/|\.\.?\/|file:)/;
const BARE_HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?(?:\/|$)/i;

export function understand(pasted: string): Understood {
  const text = unwrap(pasted);
  if (text === "") return { kind: "empty" };
  if (LOCAL.test(text)) return { kind: "local", label: text };
  if (/\s/.test(text)) return { kind: "unclear", why: "spaces" };
  const plugin = PLUGIN.exec(text);
  if (plugin && !BARE_HOST.test(text)) return marketplace(plugin[1], plugin[2], plugin[3]);
  const address = toUrl(text);
  if (address === null)
    return { kind: "unclear", why: /^[a-z][a-z0-9+.-]*:/i.test(text) ? "notHttp" : "unknown" };
  return fromUrl(address);
}

/** Quotes, angle brackets and full stops come along when people copy from a sentence. */
function unwrap(pasted: string): string {
  return pasted
    .trim()
    .replace(/^[<("'“「《]+|[>)"'”」》,;，。；]+$/g, "")
    .trim();
}

function toUrl(text: string): URL | null {
  const full = BARE_HOST.test(text) ? `https://${text}` : text;
  try {
    const address = new URL(full);
    return address.protocol === "http:" || address.protocol === "https:" ? address : null;
  } catch {
    return null;
  }
}

function fromUrl(address: URL): Understood {
  if (address.username !== "" || address.password !== "") return { kind: "unclear", why: "credentials" };
  const host = address.hostname.toLowerCase();
  const path = address.pathname.split("/").filter(Boolean).map(decode);
  if (MARKETPLACE_HOSTS.has(host)) return fromMarketplace(path, address);
  if (GITHUB_HOSTS.has(host)) return fromGitHub(path, address);
  return byUrl(address);
}

/** `/plugins/author/name`, `/plugin/…`, and the API's `/api/v1/plugins/author/name/1.2.3/download`. */
function fromMarketplace(path: string[], address: URL): Understood {
  const at = path.findIndex((part) => part === "plugins" || part === "plugin");
  const [author, name, version] = at < 0 ? [] : path.slice(at + 1);
  if (!author || !name) return byUrl(address);
  return marketplace(author, name, version ?? address.searchParams.get("version") ?? undefined);
}

function marketplace(
  author: string | undefined,
  name: string | undefined,
  version: string | undefined,
): Understood {
  if (!author || !name) return { kind: "unclear", why: "unknown" };
  if (!version)
    return { kind: "incomplete", type: "Marketplace", label: `${author}/${name}`, missing: "version" };
  const source: Source = { type: "Marketplace", marketplace: { author, name, version } };
  return { kind: "source", source, label: `${author}/${name}@${version}` };
}

/** A repository, a release, or the asset of a release. Other files of GitHub are addresses like any other. */
function fromGitHub(path: string[], address: URL): Understood {
  const [owner, name, section, action, ...rest] = path;
  if (!owner || !name) return { kind: "unclear", why: "unknown" };
  const repo = `${owner}/${name.replace(/\.git$/, "")}`;
  if (section === "releases" && action === "download" && rest.length >= 2) {
    const asset = rest.at(-1) ?? "";
    const tag = rest.slice(0, -1).join("/");
    if (!asset.endsWith(".difypkg")) return byUrl(address);
    return {
      kind: "source",
      source: { type: "GitHub", github: { repo, tag, asset } },
      label: `${repo} ${tag} ${asset}`,
    };
  }
  if (section === undefined || section === "releases" || section === "tree") {
    return { kind: "incomplete", type: "GitHub", label: repo, missing: "asset" };
  }
  return byUrl(address);
}

function byUrl(address: URL): Understood {
  const url = address.href;
  return { kind: "source", source: { type: "URL", url: { url } }, label: url };
}

/** An asset of a GitHub release can be fetched from its address too, where the workers know no GitHub yet. */
export function asUrl(source: Source): Source | null {
  if (source.type === "URL") return source;
  if (!source.github) return null;
  const { repo, tag, asset } = source.github;
  const tagPath = tag.split("/").map(encodeURIComponent).join("/");
  const url = `https://github.com/${repo}/releases/download/${tagPath}/${encodeURIComponent(asset)}`;
  return { type: "URL", url: { url } };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
