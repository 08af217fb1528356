import { Skeleton } from "@mantine/core";
import { Component, lazy, type ReactNode, Suspense, useState } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import styles from "./App.module.css";
import { FileDrop } from "./create/FileDrop";
import { useWords } from "./i18n";
import { TaskList } from "./tasks/TaskList";
import { EmptyState } from "./ui/EmptyState";
import { EndedToasts } from "./ui/Ended";
import { Header } from "./ui/Header";
import { OperatorBanner } from "./ui/OperatorBanner";
import { SignIn, TokenExpiring, useMustSignIn } from "./ui/SignIn";
import { useShortcuts } from "./ui/shortcuts";
import { Title } from "./ui/Title";

// Loaded on demand: the list is what most people see first.
const TaskPage = lazy(() => import("./task/TaskPage"));
const CreateDialog = lazy(() => import("./create/CreateDialog"));
const ShortcutHelp = lazy(() => import("./ui/ShortcutHelp"));
const PackagesPage = lazy(() => import("./packages/PackagesPage"));
const SettingsPage = lazy(() => import("./settings/SettingsPage"));
const ThroughputPage = lazy(() => import("./throughput/ThroughputPage"));

export function App() {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const [help, setHelp] = useState(false);
  const mustSignIn = useMustSignIn();
  useShortcuts({ n: () => navigate("/new"), "?": () => setHelp(true) });
  return (
    <FileDrop>
      <a href="#content" className={styles.skip}>
        {t("app.skip")}
      </a>
      <Header onHelp={() => setHelp(true)} />
      <main id="content" className={styles.main} tabIndex={-1}>
        <OperatorBanner />
        <TokenExpiring />
        <Broken>{mustSignIn ? <SignIn /> : <Pages />}</Broken>
      </main>
      <Suspense fallback={null}>{help && <ShortcutHelp onClose={() => setHelp(false)} />}</Suspense>
      <EndedToasts />
      <Title />
    </FileDrop>
  );
}

function Pages() {
  const { t } = useWords();
  return (
    <>
      <Suspense fallback={<Skeleton height={240} radius="md" />}>
        <Switch>
          <Route path="/tasks/:namespace/:name">
            {({ namespace, name }) => (
              <TaskPage key={`${namespace}/${name}`} namespace={namespace} name={name} />
            )}
          </Route>
          <Route path="/">
            <TaskList />
          </Route>
          <Route path="/new">
            <TaskList />
          </Route>
          <Route path="/packages">
            <PackagesPage />
          </Route>
          <Route path="/settings">
            <SettingsPage />
          </Route>
          <Route path="/throughput">
            <ThroughputPage />
          </Route>
          <Route>
            <EmptyState
              icon="search"
              isPage
              title={t("app.notFound")}
              action={<Link href="/">{t("app.toTasks")}</Link>}
            />
          </Route>
        </Switch>
      </Suspense>
      {/* Waits by itself: the list behind it, and the focus in it, must not go while the dialog is loaded. */}
      <Suspense fallback={null}>
        <Route path="/new">
          <CreateDialog />
        </Route>
      </Suspense>
    </>
  );
}

/** A fault of one part must not leave a white page. */
class Broken extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken ? <Apology /> : this.props.children;
  }
}

function Apology() {
  const { t } = useWords();
  return (
    <div role="alert">
      <EmptyState
        icon="warning"
        isPage
        title={t("app.crashed")}
        action={
          <button type="button" onClick={() => location.reload()}>
            {t("app.reload")}
          </button>
        }
      />
    </div>
  );
}
