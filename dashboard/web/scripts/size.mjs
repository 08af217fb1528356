// Fails when the built page is heavier than its budget (gzip, kB of 1000 bytes). Run after the build.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = { "initial JS": 180, "all JS": 240, CSS: 20, "client alone": 12 };
const STATIC = fileURLToPath(new URL("../../server/src/repack_dashboard/static/", import.meta.url));

const kilobytes = (path) => gzipSync(readFileSync(join(STATIC, path))).length / 1000;
const sum = (paths) => paths.reduce((total, path) => total + kilobytes(path), 0);

const html = readFileSync(join(STATIC, "index.html"), "utf8");
const named = [...html.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((match) => match[1]);
const assets = readdirSync(join(STATIC, "assets")).map((name) => join("assets", name));
const scripts = assets.filter((path) => path.endsWith(".js"));
const sizes = {
  "initial JS": sum(named),
  "all JS": sum([...new Set([...named, ...scripts])]),
  CSS: sum(assets.filter((path) => path.endsWith(".css"))),
  "client alone": kilobytes("client/taskws.js"),
};

for (const [what, size] of Object.entries(sizes)) {
  const verdict = size > BUDGET[what] ? "TOO LARGE" : "ok";
  console.log(`${what.padEnd(14)}${size.toFixed(1).padStart(7)} kB of ${BUDGET[what]} kB  ${verdict}`);
  if (size > BUDGET[what]) process.exitCode = 1;
}
