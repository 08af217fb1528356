import "@mantine/core/styles/baseline.css";
import "@mantine/core/styles/default-css-variables.css";
import "./theme/mantine.css";
import "./theme/tokens.css";
import "./theme/styles.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { session } from "./api/session";
import { LanguageProvider, loadLanguage, ownLanguage } from "./i18n";
import { Live, LiveProvider } from "./realtime/live";
import { colorSchemeManager, theme } from "./theme/theme";
import { ToastProvider } from "./ui/Toasts";

const queries = new QueryClient({
  defaultOptions: { queries: { retry: 1, refetchOnWindowFocus: false, staleTime: 30_000 } },
});
const live: Live = new Live({
  // On a living connection the server has said that the token ends soon: then somebody must give a newer one. Before a
  // new attempt there is only the one that we have; when that is refused, the page asks who this is.
  getToken: (refresh) =>
    refresh && live.getConnection().status === "connected" ? session.renewed() : session.token(),
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
// English is there already; another language is fetched first, so that no word changes before the reader's eyes.
void loadLanguage(ownLanguage()).then(() =>
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        defaultColorScheme="auto"
        colorSchemeManager={colorSchemeManager}
        withCssVariables={false}
        withGlobalClasses={false}
      >
        <QueryClientProvider client={queries}>
          <LanguageProvider>
            <LiveProvider live={live}>
              <ToastProvider>
                <App />
              </ToastProvider>
            </LiveProvider>
          </LanguageProvider>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  ),
);
