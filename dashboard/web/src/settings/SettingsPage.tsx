import { useMantineColorScheme } from "@mantine/core";
import { type Language, useWords } from "../i18n";
import { DifyVersionField } from "../ui/DifyVersionField";
import { Segments } from "../ui/Segments";
import { setTaste, type Taste, useTaste } from "../ui/taste";
import styles from "./SettingsPage.module.css";

/** Language, looks and times, as this browser's user likes them. */
export default function SettingsPage() {
  const { t, language, setLanguage } = useWords();
  // Holding transitions back would need a style element, which a strict content security policy forbids.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const taste = useTaste();
  return (
    <div className={styles.page}>
      <h1>{t("settings.title")}</h1>
      <section className={`card ${styles.card}`} aria-label={t("settings.title")}>
        <Row label={t("language.label")}>
          <Segments<Language>
            label={t("language.label")}
            value={language}
            onChange={setLanguage}
            options={[
              { value: "en", label: "English" },
              { value: "zh-CN", label: "简体中文" },
            ]}
          />
        </Row>
        <Row label={t("theme.label")}>
          <Segments
            label={t("theme.label")}
            value={colorScheme}
            onChange={setColorScheme}
            options={[
              { value: "light", label: t("theme.light") },
              { value: "dark", label: t("theme.dark") },
              { value: "auto", label: t("theme.system") },
            ]}
          />
        </Row>
        <Row label={t("settings.time")} help={t("settings.time.help")}>
          <Segments<Taste["time"]>
            label={t("settings.time")}
            value={taste.time}
            onChange={(time) => setTaste({ time })}
            options={[
              { value: "relative", label: t("settings.time.relative") },
              { value: "exact", label: t("settings.time.exact") },
            ]}
          />
        </Row>
        <Row label={t("settings.density")}>
          <Segments<Taste["density"]>
            label={t("settings.density")}
            value={taste.density}
            onChange={(density) => setTaste({ density })}
            options={[
              { value: "comfortable", label: t("settings.density.comfortable") },
              { value: "compact", label: t("settings.density.compact") },
            ]}
          />
        </Row>
        <Row label={t("dify.label")} help={t("dify.help")}>
          <DifyVersionField />
        </Row>
      </section>
      <p className="muted">{t("settings.kept")}</p>
    </div>
  );
}

function Row({ label, help, children }: { label: string; help?: string; children: React.ReactNode }) {
  return (
    <div className={styles.row}>
      <div>
        <div className={styles.label}>{label}</div>
        {help && <div className={styles.help}>{help}</div>}
      </div>
      {children}
    </div>
  );
}
