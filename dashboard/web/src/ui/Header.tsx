import { ActionIcon, Button, Menu, useMantineColorScheme } from "@mantine/core";
import { Link } from "wouter";
import { useWords } from "../i18n";
import { ConnectionIndicator } from "./ConnectionIndicator";
import styles from "./Header.module.css";
import { Icon } from "./Icon";

export function Header() {
  const { t } = useWords();
  return (
    <header className={styles.header}>
      <div className={styles.inner}>
        <Link href="/" className={styles.brand ?? ""}>
          <Icon name="box" size={20} />
          <span className={styles.brandText}>{t("app.name")}</span>
        </Link>
        <ConnectionIndicator />
        <div className={styles.tools}>
          <LanguageSwitch />
          <ThemeMenu />
          <Button
            component={Link}
            href="/new"
            size="xs"
            leftSection={<Icon name="plus" />}
            className={styles.new}
          >
            {t("list.new")}
          </Button>
        </div>
      </div>
    </header>
  );
}

function LanguageSwitch() {
  const { t, language, setLanguage } = useWords();
  const other = language === "en" ? "zh-CN" : "en";
  return (
    <Button
      size="compact-sm"
      variant="subtle"
      color="gray"
      className={styles.tool}
      lang={other}
      title={t("language.label")}
      onClick={() => setLanguage(other)}
    >
      {other === "en" ? "English" : "中文"}
    </Button>
  );
}

const THEMES = [
  { scheme: "light", icon: "sun" },
  { scheme: "dark", icon: "moon" },
  { scheme: "auto", icon: "system" },
] as const;

function ThemeMenu() {
  const { t } = useWords();
  // Holding transitions back would need a style element, which a strict content security policy forbids.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const words = { light: t("theme.light"), dark: t("theme.dark"), auto: t("theme.system") };
  const current = THEMES.find((theme) => theme.scheme === colorScheme) ?? THEMES[2];
  return (
    <Menu position="bottom-end" width={150} withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={30}
          className={styles.tool}
          aria-label={`${t("theme.label")}: ${words[current.scheme]}`}
        >
          <Icon name={current.icon} size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {THEMES.map(({ scheme, icon }) => (
          <Menu.Item
            key={scheme}
            leftSection={<Icon name={icon} />}
            rightSection={scheme === colorScheme ? <Icon name="check" /> : null}
            aria-current={scheme === colorScheme}
            onClick={() => setColorScheme(scheme)}
          >
            {words[scheme]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
