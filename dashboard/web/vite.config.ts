import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The dashboard serves what is built here; `npm run dev` passes its calls on to a running dashboard (`dify-repack up`).
const dashboard = "http://127.0.0.1:8700";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../server/src/repack_dashboard/static",
    emptyOutDir: true,
    target: "es2022",
    // Everything stays a file of its own: the server's content security policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
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
  },
});
