import { useEffect, useMemo } from "react";
import { useLocation } from "wouter";
import { useWords } from "../i18n";
import { useTasks } from "../realtime/live";
import { countGroups } from "../tasks/filters";
import { decoded } from "./paths";

/** The tab's title and its icon carry the number of active tasks, so that it can be watched from elsewhere. */
export function Title() {
  const { t } = useWords();
  const [path] = useLocation();
  const { tasks } = useTasks();
  const active = useMemo(() => countGroups(tasks).active, [tasks]);
  const name = path.startsWith("/tasks/") ? decoded(path.split("/")[3] ?? "") : "";
  useEffect(() => {
    document.title = `${active > 0 ? `(${active}) ` : ""}${name ? `${name} · ` : ""}${t("app.name")}`;
  }, [active, name, t]);
  useEffect(() => {
    const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (link) link.href = active === 0 ? "/favicon.svg" : iconWith(active);
  }, [active]);
  return null;
}

/** The icon with a number in it, as an address of its own: the policy allows images from `data:`. */
export function iconWith(active: number): string {
  const text = active > 99 ? "99+" : String(active);
  const size = text.length > 2 ? 12 : 16;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1864ab"/>` +
    `<text x="16" y="${16 + size * 0.36}" font-family="sans-serif" font-size="${size}" font-weight="700" fill="#fff"` +
    ` text-anchor="middle">${text}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
