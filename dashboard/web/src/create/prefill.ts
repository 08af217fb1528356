/**
 * What an address says of the form: `/new?source=marketplace&author=&name=&version=&platform=&dify=`, `?plugin=<any
 * link>`, the deep links of the original application, and `?from=<namespace>/<name>` for "run again with changes". Pure.
 * An address only fills the form in; nothing begins without a click, so that a link cannot spend the cluster's work.
 */

import type { Arch, Source } from "../api/types";

export interface Prefill {
  /** To be read by the link field; "" for none. */
  link: string;
  targets: Arch[];
  mirror: string | null;
  /** Version of the user's Dify, for the advice alone. */
  dify: string | null;
  /** The task that the form is a copy of. */
  from: { namespace: string; name: string } | null;
}

const NAMES: Record<string, Arch> = {
  amd64: "amd64",
  "linux/amd64": "amd64",
  arm64: "arm64",
  "linux/arm64": "arm64",
  universal: "universal",
  // What the original application called its platforms.
  manylinux2014_x86_64: "amd64",
  manylinux_2_17_x86_64: "amd64",
  manylinux2014_aarch64: "arm64",
  manylinux_2_17_aarch64: "arm64",
};

export function prefillOf(search: string): Prefill {
  const query = new URLSearchParams(search);
  const names = (query.get("platform") ?? "").split(/[,\s]+/).filter(Boolean);
  const targets = names.flatMap((name) => NAMES[name.toLowerCase()] ?? []);
  const [namespace, name] = (query.get("from") ?? "").split("/");
  return {
    link: linkOf(query),
    targets: [...new Set(targets)],
    mirror: query.get("mirror"),
    dify: query.get("dify"),
    from: namespace && name ? { namespace, name } : null,
  };
}

function linkOf(query: URLSearchParams): string {
  const plain = query.get("plugin") ?? query.get("url");
  if (plain !== null) return plain;
  const [author, name, version] = [query.get("author"), query.get("name"), query.get("version")];
  if (!author || !name) return "";
  return version ? `${author}/${name}@${version}` : `${author}/${name}`;
}

/** Whether an address of the list is a deep link of the original application, which had its form at `/`. */
export function isDeepLink(search: string): boolean {
  const query = new URLSearchParams(search);
  return query.has("plugin") || query.has("url") || (query.has("author") && query.has("name"));
}

/** The text by which the link field reads a source again; null of an upload, which has no address. */
export function textOf(source: Source): string | null {
  const { marketplace, github, url } = source;
  if (marketplace) {
    return `${marketplace.author}/${marketplace.name}${marketplace.version ? `@${marketplace.version}` : ""}`;
  }
  if (github) {
    return `github:${github.repo}${github.tag ? `@${github.tag}` : ""}${github.asset ? `#${github.asset}` : ""}`;
  }
  return url?.url ?? null;
}
