import { Button, CloseButton, NativeSelect, Skeleton, TextInput } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useId, useState } from "react";
import { api, toApiError } from "../api/client";
import type { MarketplacePlugin } from "../api/types";
import { useWords } from "../i18n";
import { integer, type Language } from "../i18n/format";
import { Icon } from "../ui/Icon";
import { ProblemNote } from "../ui/ProblemNote";
import styles from "./MarketplacePicker.module.css";
import { PluginIcon } from "./PluginIcon";

const CATEGORIES = ["model", "tool", "agent-strategy", "extension", "datasource", "trigger"] as const;
const TYPING_MS = 300;

export interface Pick {
  plugin: MarketplacePlugin;
  /** null: the latest one, looked up when the task runs. */
  version: string | null;
}

interface Props {
  picks: readonly Pick[];
  onChange: (picks: readonly Pick[]) => void;
  /** Says that typing works without the list. */
  onType: () => void;
  fault: string | null;
}

const same = (a: MarketplacePlugin, b: MarketplacePlugin) => a.author === b.author && a.name === b.name;

/** The label in the reader's language, as the plugin's author gave it. */
export function textIn(texts: Record<string, string> | undefined, language: Language): string {
  const key = language === "en" ? "en_US" : "zh_Hans";
  return texts?.[key] ?? texts?.en_US ?? Object.values(texts ?? {})[0] ?? "";
}

/** Look around in the Marketplace and choose one plugin, or several. */
export function MarketplacePicker({ picks, onChange, onType, fault }: Props) {
  const { t } = useWords();
  const [q, setQ] = useState("");
  const [category, setCategory] = useState("");
  const [author, setAuthor] = useState("");
  const toggle = (plugin: MarketplacePlugin) => {
    const without = picks.filter((pick) => !same(pick.plugin, plugin));
    onChange(
      without.length < picks.length ? without : [...picks, { plugin, version: plugin.latestVersion ?? null }],
    );
  };
  return (
    <div className={styles.picker}>
      <div className={styles.search}>
        <TextInput
          className={styles.words}
          type="search"
          aria-label={t("market.search")}
          placeholder={t("market.search")}
          leftSection={<Icon name="search" />}
          rightSection={
            q !== "" && <CloseButton size="sm" aria-label={t("list.none.clear")} onClick={() => setQ("")} />
          }
          value={q}
          onChange={(event) => setQ(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
          data-autofocus
        />
        <NativeSelect
          aria-label={t("market.category")}
          rightSection={<Icon name="down" />}
          rightSectionPointerEvents="none"
          value={category}
          onChange={(event) => setCategory(event.currentTarget.value)}
          data={[
            { value: "", label: t("market.anyCategory") },
            ...CATEGORIES.map((value) => ({ value, label: t(`market.category.${value}`) })),
          ]}
        />
        <AuthorField value={author} onChange={setAuthor} />
      </div>
      <Results
        query={{ q, category, author }}
        picks={picks}
        toggle={toggle}
        onAuthor={setAuthor}
        onType={onType}
      />
      {picks.length > 0 && <Picks picks={picks} onChange={onChange} />}
      {fault !== null && (
        <p role="alert" className={styles.fault}>
          {fault}
        </p>
      )}
    </div>
  );
}

function AuthorField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useWords();
  const list = useId();
  const known = useQuery({ queryKey: ["market", "authors"], queryFn: api.pluginAuthors, retry: false });
  return (
    <>
      <TextInput
        className={styles.author}
        aria-label={t("market.author")}
        placeholder={t("market.author")}
        list={list}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value.trim())}
        rightSection={
          value !== "" && (
            <CloseButton size="sm" aria-label={t("list.none.clear")} onClick={() => onChange("")} />
          )
        }
      />
      <datalist id={list}>
        {known.data?.authors.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

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

function Results({ query, picks, toggle, onAuthor, onType }: ResultsProps) {
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

function Picks({ picks, onChange }: { picks: readonly Pick[]; onChange: (picks: readonly Pick[]) => void }) {
  const { t } = useWords();
  return (
    <ul className={styles.picks} aria-label={t("market.picked")}>
      {picks.map((pick) => (
        <li key={`${pick.plugin.author}/${pick.plugin.name}`}>
          <Icon name="check" />
          <span className="mono ellipsis">
            {pick.plugin.author}/{pick.plugin.name}
          </span>
          <VersionChoice
            pick={pick}
            onChange={(version) =>
              onChange(picks.map((each) => (each === pick ? { ...pick, version } : each)))
            }
          />
          <CloseButton
            size="sm"
            aria-label={t("market.remove", { name: pick.plugin.name })}
            onClick={() => onChange(picks.filter((each) => each !== pick))}
          />
        </li>
      ))}
    </ul>
  );
}

function VersionChoice({ pick, onChange }: { pick: Pick; onChange: (version: string | null) => void }) {
  const { t } = useWords();
  const { author, name } = pick.plugin;
  const known = useQuery({
    queryKey: ["market", "versions", author, name],
    queryFn: () => api.plugin(author, name),
    retry: false,
  });
  const versions = known.data?.versions ?? (pick.version ? [pick.version] : []);
  return (
    <NativeSelect
      size="xs"
      className={styles.version}
      aria-label={t("market.version", { name })}
      rightSection={<Icon name="down" />}
      rightSectionPointerEvents="none"
      value={pick.version ?? ""}
      onChange={(event) => onChange(event.currentTarget.value || null)}
      data={[...versions.map((value) => ({ value, label: value })), { value: "", label: t("market.latest") }]}
    />
  );
}
