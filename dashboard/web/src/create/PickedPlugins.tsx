import { CloseButton, NativeSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client";
import { useWords } from "../i18n";
import { Icon } from "../ui/Icon";
import styles from "./MarketplacePicker.module.css";
import type { Pick } from "./picks";

/** The plugins that were chosen, each with its version. */
export function PickedPlugins({
  picks,
  onChange,
}: {
  picks: readonly Pick[];
  onChange: (picks: readonly Pick[]) => void;
}) {
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
