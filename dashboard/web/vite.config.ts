import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The dashboard serves what is built here; `npm run dev` passes its calls on to a running dashboard (`dify-repack up`).
const dashboard = "http://127.0.0.1:8700";
const statics = "../server/src/repack_dashboard/static";

/** Mantine's variables of colours that the page does not use: an eighth of all its styles. */
const unusedColours = {
  name: "unused-colours",
  enforce: "pre" as const,
  transform(code: string, id: string) {
    if (!id.endsWith("default-css-variables.css")) return null;
    const unused =
      /^\s*--mantine-color-(?:pink|grape|violet|indigo|cyan|teal|green|lime|yellow|orange)-.*;\n/gm;
    return { code: code.replace(unused, ""), map: null };
  },
};

const page = defineConfig({
  plugins: [react(), unusedColours],
  build: {
    outDir: statics,
    emptyOutDir: true,
    target: "es2022",
    // Everything stays a file of its own: the server's content security policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
    // One file of styles: together they compress to a third less than part by part.
    cssCodeSplit: false,
    // Weight is judged after compression, by scripts/size.mjs.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      "/api": dashboard,
      "/ws": { target: dashboard, ws: true },
    },
  },
  test: {
    // Pure modules need no page; a test of components asks for happy-dom in its first line.
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/testing.setup.ts"],
  },
});

// `vite build --mode client`: the reconnecting WebSocket for use alone (docs/client.md), beside the built page.
const client = defineConfig({
  publicDir: false,
  build: {
    outDir: `${statics}/client`,
    emptyOutDir: false,
    target: "es2022",
    // To be read, and to be copied into other projects; it is small as it is.
    minify: false,
    lib: { entry: "src/realtime/client.ts", formats: ["es"], fileName: () => "taskws.js" },
  },
});

export default defineConfig(({ mode }) => (mode === "client" ? client : page));
