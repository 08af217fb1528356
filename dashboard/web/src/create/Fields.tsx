import { Checkbox, NativeSelect, TextInput } from "@mantine/core";
import type { Arch, ClientConfig, Mode } from "../api/types";
import { useWords } from "../i18n";
import { DifyVersionField } from "../ui/DifyVersionField";
import { Icon } from "../ui/Icon";
import styles from "./CreateDialog.module.css";
import type { Draft, DraftField } from "./draft";

interface Props {
  config: ClientConfig;
  draft: Draft;
  change: (changed: Partial<Draft>) => void;
  error: (field: DraftField) => string | null;
  /** Many tasks cannot have one name. */
  hasName: boolean;
}

const ALL_TARGETS: readonly Arch[] = ["amd64", "arm64", "universal"];

/** What the package is made for, and how. */
export function Fields({ config, draft, change, error, hasName }: Props) {
  const { t } = useWords();
  const missing = ALL_TARGETS.filter((arch) => !config.targets.includes(arch));
  return (
    <>
      <Checkbox.Group
        label={t("create.targets")}
        description={t("create.targets.help")}
        error={error("targets")}
        value={[...draft.targets]}
        onChange={(targets) => change({ targets: targets as Arch[] })}
      >
        <div className={styles.targets}>
          {config.targets.map((arch) => (
            <Checkbox key={arch} value={arch} label={t(`target.${arch}`)} />
          ))}
          {missing.length > 0 && <span className={styles.hint}>{t("create.targets.later")}</span>}
        </div>
      </Checkbox.Group>
      <div className={styles.two}>
        <TextInput
          label={t("create.mirror")}
          description={t("create.mirror.help")}
          placeholder="https://…/simple"
          type="url"
          value={draft.mirror}
          error={error("mirror")}
          onChange={(event) => change({ mirror: event.currentTarget.value.trim() })}
        />
        <DifyVersionField help />
      </div>
      <details className={styles.more} open={error("python") !== null || error("name") !== null || undefined}>
        <summary>{t("create.more")}</summary>
        <div className={styles.pair}>
          <TextInput
            label={t("create.python")}
            description={t("create.python.help")}
            value={draft.python}
            error={error("python")}
            onChange={(event) => change({ python: event.currentTarget.value.trim() })}
          />
          {hasName && (
            <TextInput
              label={t("create.name")}
              description={t("create.name.help")}
              value={draft.name}
              error={error("name")}
              onChange={(event) => change({ name: event.currentTarget.value.trim() })}
            />
          )}
        </div>
        {config.modes.length > 1 && (
          <NativeSelect
            className={styles.mode}
            label={t("create.mode")}
            description={t(`create.mode.${draft.mode}`)}
            rightSection={<Icon name="down" />}
            rightSectionPointerEvents="none"
            value={draft.mode}
            onChange={(event) => change({ mode: event.currentTarget.value as Mode })}
            data={config.modes.map((value) => ({ value, label: value }))}
          />
        )}
      </details>
    </>
  );
}
