import { Button, Skeleton } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, toApiError } from "../api/client";
import type { MarketplacePlugin } from "../api/types";
import { useWords } from "../i18n";
import { integer } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./MarketplacePicker.module.css";
import { PluginIcon } from "./PluginIcon";
import { type Pick, same, textIn } from "./picks";

const TYPING_MS = 300;

/** The value once nothing was typed for a moment. */
function useTyped<T>(value: T): T {
  const [typed, setTyped] = useState(value);
  const key = JSON.stringify(value);
  // biome-ignore lint/correctness/useExhaustiveDependencies: compared by what it says, not by its identity
  useEffect(() => {
    const timer = setTimeout(() => setTyped(value), TYPING_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return typed;
}

interface ResultsProps {
  query: { q: string; category: string; author: string };
  picks: readonly Pick[];
  toggle: (plugin: MarketplacePlugin) => void;
  onAuthor: (author: string) => void;
  onType: () => void;
}

/** What the Marketplace has for the question, or puts in front while nothing is asked. */
export function MarketplaceResults({ query, picks, toggle, onAuthor, onType }: ResultsProps) {
  const { t, language } = useWords();
  const typed = useTyped(query);
  const isSearch = typed.q.trim() !== "" || typed.category !== "" || typed.author !== "";
  const found = useInfiniteQuery({
    queryKey: ["market", "search", typed],
    queryFn: ({ pageParam }) =>
      isSearch ? api.searchPlugins({ ...typed, page: pageParam }) : api.featuredPlugins(),
    initialPageParam: 1,
    getNextPageParam: (last, all) =>
      all.reduce((sum, page) => sum + page.items.length, 0) < last.total && last.items.length > 0
        ? last.page + 1
        : undefined,
    placeholderData: keepPreviousData,
    retry: false,
  });
  if (found.isError) {
    return (
      <ProblemNote
        error={toApiError(found.error)}
        title={t("market.failed")}
        action={
          <div className={styles.actions}>
            <Button size="xs" variant="default" onClick={() => void found.refetch()}>
              {t("connection.retry")}
            </Button>
            <Button size="xs" variant="default" onClick={onType}>
              {t("market.type")}
            </Button>
          </div>
        }
      />
    );
  }
  const plugins = found.data?.pages.flatMap((page) => page.items) ?? [];
  const total = found.data?.pages.at(-1)?.total ?? 0;
  return (
    <>
      <div className={styles.heading}>
        <strong>{t(isSearch ? "market.results" : "market.featured")}</strong>
        {isSearch && found.data && (
          <span className="muted" role="status">
            {integer(total, language)}
          </span>
        )}
      </div>
      <div
        className={styles.results}
        role="group"
        aria-label={t("market.plugins")}
        aria-busy={found.isPending}
      >
        {found.isPending && [0, 1, 2, 3].map((row) => <Skeleton key={row} height={52} />)}
        {found.isSuccess && plugins.length === 0 && <p className={styles.none}>{t("market.none")}</p>}
        {plugins.map((plugin) => (
          <Result
            key={`${plugin.author}/${plugin.name}`}
            plugin={plugin}
            picked={picks.some((pick) => same(pick.plugin, plugin))}
            toggle={() => toggle(plugin)}
            onAuthor={onAuthor}
          />
        ))}
        {found.hasNextPage && (
          <Button
            size="xs"
            variant="subtle"
            loading={found.isFetchingNextPage}
            onClick={() => void found.fetchNextPage()}
          >
            {t("market.more")}
          </Button>
        )}
      </div>
    </>
  );
}

interface ResultProps {
  plugin: MarketplacePlugin;
  picked: boolean;
  toggle: () => void;
  onAuthor: (author: string) => void;
}

/** One plugin: pressing it anywhere chooses it. */
function Result({ plugin, picked, toggle, onAuthor }: ResultProps) {
  const { t, language } = useWords();
  const label = textIn(plugin.label, language) || plugin.name;
  return (
    <div className={styles.result} data-picked={picked}>
      <PluginIcon author={plugin.author} name={plugin.name} />
      <div className={styles.about}>
        <button type="button" className={styles.pick} aria-pressed={picked} onClick={toggle}>
          {label}
        </button>
        <div className={styles.facts}>
          <button
            type="button"
            className={styles.by}
            title={t("market.byAuthor")}
            onClick={() => onAuthor(plugin.author)}
          >
            {plugin.author}
          </button>
          <span className="mono">{plugin.name}</span>
          {plugin.latestVersion && <span>{plugin.latestVersion}</span>}
          {plugin.installs > 0 && (
            <span>{t("market.installs", { n: integer(plugin.installs, language) })}</span>
          )}
        </div>
        <div className={styles.brief}>{textIn(plugin.brief, language)}</div>
      </div>
      <span className={styles.tick} aria-hidden="true">
        <Icon name={picked ? "check" : "plus"} size={16} />
      </span>
    </div>
  );
}
