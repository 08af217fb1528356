import type { Artifact, Mode } from "../api/types";
import { useWords } from "../i18n";
import { difyOf, fileRead, GENERATIONS, NEWEST, wayOf } from "./dify";
import styles from "./NextSteps.module.css";

interface Props {
  mode: Mode;
  artifacts: readonly Artifact[];
  /** As the user wrote it; "" where it is not known. */
  version: string;
}

/** On which Dify the package installs, how the user's own one does it, and what was tried with this very package. */
export function Compatibility({ mode, artifacts, version }: Props) {
  const { t } = useWords();
  const dify = difyOf(version);
  const daemons = daemonsOf(artifacts);
  return (
    <div className={styles.compatibility} data-testid="compatibility">
      <h3>{t("compat.title")}</h3>
      <p>{t("compat.all", { n: GENERATIONS })}</p>
      {daemons !== null && <p>{t("compat.tried", { daemons })}</p>}
      {dify !== null && <Own mode={mode} version={version} way={wayOf(dify)} />}
    </div>
  );
}

function Own({ mode, version, way }: { mode: Mode; version: string; way: ReturnType<typeof wayOf> }) {
  const { t } = useWords();
  if (way === "none") return <p data-warning>{t("compat.none", { version })}</p>;
  if (way === "newer") {
    return <p data-warning>{t("compat.newer", { version, newest: `${NEWEST.major}.${NEWEST.minor}` })}</p>;
  }
  const file = fileRead(way, mode);
  const command = file === "pyproject.toml" ? "uv sync" : way === "pip" ? "pip install" : "uv pip install";
  return <p>{t("compat.own", { version, command, file })}</p>;
}

const TRIED = /Command lines run: daemon (.+?)\.(?=\s|$)/;

/** The daemons whose command lines installed this package, as the worker tells them (repack_worker's verification). */
export function daemonsOf(artifacts: readonly Artifact[]): string | null {
  const told = artifacts.flatMap(({ verification }) => TRIED.exec(verification?.message ?? "")?.[1] ?? []);
  return told[0] ?? null;
}
