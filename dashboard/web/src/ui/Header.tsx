import { ActionIcon, Button, Menu, useMantineColorScheme } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";
import { session } from "../api/session";
import { useWords } from "../i18n";
import { useLive } from "../realtime/live";
import { listPath } from "../tasks/listAddress";
import { ConnectionIndicator } from "./ConnectionIndicator";
import styles from "./Header.module.css";
import { Icon } from "./Icon";
import { useToken } from "./SignIn";

interface Props {
  onHelp: () => void;
}

export function Header({ onHelp }: Props) {
  const { t } = useWords();
  const [path] = useLocation();
  return (
    <header className={styles.header}>
      <div className={styles.inner}>
        <Link href="/" className={styles.brand ?? ""}>
          <Icon name="box" size={20} />
          <span className={styles.brandText}>{t("app.name")}</span>
        </Link>
        <Nav />
        <div className={styles.tools}>
          <ConnectionIndicator />
          <LanguageSwitch />
          <ThemeMenu />
          <ActionIcon
            component={Link}
            href="/settings"
            variant="subtle"
            color="gray"
            size={32}
            className={styles.tool}
            aria-label={t("nav.settings")}
            title={t("nav.settings")}
            aria-current={path === "/settings" ? "page" : undefined}
          >
            <Icon name="gear" size={17} />
          </ActionIcon>
          <ActionIcon
            variant="subtle"
            color="gray"
            size={32}
            className={`${styles.tool} ${styles.wide}`}
            aria-label={t("help.title")}
            title={t("help.title")}
            aria-keyshortcuts="?"
            onClick={onHelp}
          >
            <Icon name="keyboard" size={17} />
          </ActionIcon>
          <SignOut />
          <Button
            component={Link}
            href="/new"
            size="xs"
            leftSection={<Icon name="plus" />}
            className={styles.new}
            aria-keyshortcuts="n"
          >
            {t("list.new")}
          </Button>
        </div>
      </div>
    </header>
  );
}

const PLACES = [
  { href: "/", key: "nav.tasks" },
  { href: "/packages", key: "nav.packages" },
  { href: "/throughput", key: "nav.throughput" },
] as const;

function Nav() {
  const { t } = useWords();
  const [path] = useLocation();
  const isHere = (href: string) =>
    href === "/" ? path === "/" || path === "/new" || path.startsWith("/tasks/") : path === href;
  return (
    <nav className={styles.nav} aria-label={t("nav.label")}>
      {PLACES.map(({ href, key }) => (
        <Link
          key={href}
          // Back to the list as it was left; from the list itself to all of it.
          href={href === "/" && path !== "/" ? listPath() : href}
          className={styles.place ?? ""}
          aria-current={isHere(href) ? "page" : undefined}
        >
          {t(key)}
        </Link>
      ))}
    </nav>
  );
}

function SignOut() {
  const { t } = useWords();
  const live = useLive();
  const queries = useQueryClient();
  if (useToken() === null) return null;
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size={32}
      className={styles.tool}
      aria-label={t("signIn.out")}
      title={t("signIn.out")}
      onClick={() => {
        session.set(null);
        live.leave();
        // What one user was told is not for the next one.
        queries.clear();
      }}
    >
      <Icon name="out" size={17} />
    </ActionIcon>
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
          size={32}
          className={`${styles.tool} ${styles.wide}`}
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
