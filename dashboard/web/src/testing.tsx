/** Shows components in tests with everything around them that the page gives: words, queries, a live connection. */

import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { Router } from "wouter";
import { memoryLocation } from "wouter/memory-location";
import type { TaskView } from "./api/types";
import { type Language, LanguageProvider } from "./i18n";
import { FakeServer } from "./realtime/fakeServer";
import { Live, LiveProvider } from "./realtime/live";
import { TaskStore } from "./realtime/store";

export interface Shown {
  server: FakeServer;
  live: Live;
  /** Addresses so far, the last one is shown. */
  history: string[];
  /** Say hello and send these tasks, as a server does. */
  load: (tasks: TaskView[]) => Promise<void>;
  end: () => void;
}

/** Let what was started by a promise or a message reach the page. */
export const settle = () => act(() => new Promise((done) => setTimeout(done, 0)));

export async function show(
  what: ReactNode,
  options: { language?: Language; path?: string } = {},
): Promise<Shown> {
  const server = new FakeServer();
  const live = new Live({ base: "ws://host", world: server.world() }, new TaskStore((flush) => flush()));
  const { hook, searchHook, history } = memoryLocation({ path: options.path ?? "/", record: true });
  const queries = new QueryClient({
    defaultOptions: { queries: { retry: false }, mutations: { retry: false } },
  });
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={queries}>
        <LanguageProvider initial={options.language ?? "en"}>
          <LiveProvider live={live}>
            <Router hook={hook} searchHook={searchHook}>
              {what}
            </Router>
          </LiveProvider>
        </LanguageProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
  await settle();
  return {
    server,
    live,
    history,
    load: (tasks) =>
      act(async () => {
        server.hello({ recovered: false });
        const data = tasks.map((task) => ({ task_id: task.uid, seq: 1, data: task }));
        server.snapshot(1, "e1", { data });
      }),
    end: () => {
      cleanup();
      live.dispose();
    },
  };
}
