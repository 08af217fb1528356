/**
 * Understand what was pasted into the one field of the form. Pure; the server and the worker check it again.
 *
 * The same as `operator/src/repack_contract/source_text.py`, whose docstring lists the forms; both are held to
 * `tests/source_texts.json`.
 */

import type { Source } from "../api/types";

export type Understood =
  | { kind: "empty" }
  /** A source that can be sent as it is; a version that is not named is the latest, looked up by the worker. */
  | { kind: "source"; source: Source; label: string }
  /** A place on this computer: only an upload can bring it. */
  | { kind: "local"; label: string }
  | { kind: "unclear"; why: "credentials" | "notHttp" | "spaces" | "unknown" };

const MARKETPLACE_HOSTS = new Set(["marketplace.dify.ai", "www.marketplace.dify.ai"]);
const GITHUB_HOSTS = new Set(["github.com", "www.github.com"]);
const PLUGIN =
  /^(?:marketplace:)?([A-Za-z0-9][\w.-]{0,63})\/([A-Za-z0-9][\w.-]{0,127})(?:[@:]([0-9][\w.+-]*)(?:@[0-9a-f]{64})?)?$/;
const GITHUB = /^github:([\w-]+\/[\w.-]+?)(?:\.git)?(?:@([^\s#]+))?(?:#(\S+))?$/;
const ASSET = /^[A-Za-z0-9][\w.+-]*\.difypkg$/;
const LOCAL = /^(?:[A-Za-z]:[\\/]|\\\\|~?\/|\.\.?\/|file:)/;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const BARE_HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?(?:\/|$)/i;

export function understand(pasted: string): Understood {
  const text = unwrap(pasted);
  if (text === "") return { kind: "empty" };
  const isFile = text.endsWith(".difypkg") && !SCHEME.test(text);
  if (LOCAL.test(text) || (isFile && !text.includes("/"))) return { kind: "local", label: text };
  if (/\s/.test(text)) return { kind: "unclear", why: "spaces" };
  const plugin = PLUGIN.exec(text);
  if (plugin && !BARE_HOST.test(text) && !isFile) return marketplace(plugin[1], plugin[2], plugin[3]);
  const release = GITHUB.exec(text);
  if (release) return github(release[1] ?? "", release[2], release[3]);
  const address = toUrl(text);
  if (address === null) {
    if (isFile) return { kind: "local", label: text };
    return { kind: "unclear", why: SCHEME.test(text) ? "notHttp" : "unknown" };
  }
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
  const source: Source = { type: "Marketplace", marketplace: { author, name, ...(version && { version }) } };
  return { kind: "source", source, label: `${author}/${name}${version ? `@${version}` : ""}` };
}

/** A repository, a release, or the asset of a release. Other files of GitHub are addresses like any other. */
function fromGitHub(path: string[], address: URL): Understood {
  const [owner, name, section, action, ...rest] = path;
  if (!owner || !name) return { kind: "unclear", why: "unknown" };
  const repo = `${owner}/${name.replace(/\.git$/, "")}`;
  if (section === undefined || section === "tree") return github(repo, undefined, undefined);
  if (section !== "releases") return byUrl(address);
  const last = rest.at(-1) ?? "";
  if (action === undefined || (action === "latest" && rest.length === 0))
    return github(repo, undefined, undefined);
  if (action === "tag" && rest.length > 0) return github(repo, rest.join("/"), undefined);
  if (!last.endsWith(".difypkg")) return byUrl(address);
  if (action === "latest" && rest[0] === "download" && rest.length === 2)
    return github(repo, undefined, last);
  if (action === "download" && rest.length >= 2) return github(repo, rest.slice(0, -1).join("/"), last);
  return byUrl(address);
}

function github(repo: string, tag: string | undefined, asset: string | undefined): Understood {
  if (asset !== undefined && !ASSET.test(asset)) return { kind: "unclear", why: "unknown" };
  const source: Source = { type: "GitHub", github: { repo, ...(tag && { tag }), ...(asset && { asset }) } };
  return { kind: "source", source, label: [repo, tag, asset].filter(Boolean).join(" ") };
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
  if (!tag || !asset) return null;
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
