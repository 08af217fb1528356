import { Skeleton } from "@mantine/core";
import { Component, lazy, type ReactNode, Suspense, useEffect, useMemo } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import styles from "./App.module.css";
import { FileDrop } from "./create/FileDrop";
import { useWords } from "./i18n";
import { useTasks } from "./realtime/live";
import { countGroups } from "./tasks/filters";
import { TaskList } from "./tasks/TaskList";
import { EmptyState } from "./ui/EmptyState";
import { Header } from "./ui/Header";
import { OperatorBanner } from "./ui/OperatorBanner";

// Loaded on demand: the list is what most people see first.
const TaskPage = lazy(() => import("./task/TaskPage"));
const CreateDialog = lazy(() => import("./create/CreateDialog"));

export function App() {
  const { t } = useWords();
  return (
    <FileDrop>
      <a href="#content" className={styles.skip}>
        {t("app.skip")}
      </a>
      <Header />
      <main id="content" className={styles.main} tabIndex={-1}>
        <OperatorBanner />
        <Broken>
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
        </Broken>
      </main>
      <Title />
    </FileDrop>
  );
}

/** The tab's title carries the number of active tasks, so that it can be watched from elsewhere. */
function Title() {
  const { t } = useWords();
  const [path] = useLocation();
  const { tasks } = useTasks();
  const active = useMemo(() => countGroups(tasks).active, [tasks]);
  const name = path.startsWith("/tasks/") ? decodeURIComponent(path.split("/")[3] ?? "") : "";
  useEffect(() => {
    document.title = `${active > 0 ? `(${active}) ` : ""}${name ? `${name} · ` : ""}${t("app.name")}`;
  }, [active, name, t]);
  return null;
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
