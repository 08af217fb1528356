import { CloseButton, NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../api/client";
import type { MarketplacePlugin } from "../api/types";
import { useWords } from "../i18n";
import { Icon } from "../ui/Icon";
import styles from "./MarketplacePicker.module.css";
import { MarketplaceResults } from "./MarketplaceResults";
import { PickedPlugins } from "./PickedPlugins";
import { type Pick, same } from "./picks";

const CATEGORIES = ["model", "tool", "agent-strategy", "extension", "datasource", "trigger"] as const;
interface Props {
  picks: readonly Pick[];
  onChange: (picks: readonly Pick[]) => void;
  /** Says that typing works without the list. */
  onType: () => void;
  fault: string | null;
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
      <MarketplaceResults
        query={{ q, category, author }}
        picks={picks}
        toggle={toggle}
        onAuthor={setAuthor}
        onType={onType}
      />
      {picks.length > 0 && <PickedPlugins picks={picks} onChange={onChange} />}
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
        onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
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
