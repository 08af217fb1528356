// Writes client/taskws.d.ts beside the built client: one file, with the declarations that the module offers and all
// that these name, and no more of the server's schema than the messages need. Run after the build.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const OUT = join(WEB, "../server/src/repack_dashboard/static/client");
const ENTRY = join(WEB, "src/realtime/client.ts");
const STRICT = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
};

function fail(diagnostics) {
  const host = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => WEB,
    getNewLine: () => "\n",
  };
  console.error(ts.formatDiagnostics(diagnostics, host));
  process.exit(1);
}

/** Declarations of all files by name, and the names that the entry exports. */
function declarations() {
  const program = ts.createProgram([ENTRY], { ...STRICT, declaration: true, emitDeclarationOnly: true });
  const found = new Map();
  const offered = [];
  program.emit(undefined, (path, text) => {
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
    for (const statement of file.statements) {
      const name = statement.name?.text ?? statement.declarationList?.declarations[0].name.text;
      if (name) {
        if (found.has(name)) throw new Error(`two declarations of ${name}: give one of them another name`);
        found.set(name, statement);
      } else if (path.endsWith("/client.d.ts") && ts.isExportDeclaration(statement)) {
        offered.push(...statement.exportClause.elements.map((each) => each.name.text));
      }
    }
  });
  return { found, offered };
}

/** Names of the declarations that a node's types refer to. */
function mentioned(node, found) {
  const names = new Set();
  const visit = (each) => {
    const named = each.typeName ?? each.exprName ?? (ts.isHeritageClause(each) ? null : each.expression);
    if (named && ts.isIdentifier(named) && found.has(named.text)) names.add(named.text);
    ts.forEachChild(each, visit);
  };
  visit(node);
  return names;
}

/** The schemas that the declarations index, and those that these index in turn. */
function schemas(components, texts) {
  const all = components.members.find((each) => each.name.text === "schemas").type.members;
  const byName = new Map(all.map((each) => [each.name.text, each.getFullText()]));
  const wanted = new Set();
  const want = (text) => {
    for (const [, name] of text.matchAll(/\["([A-Z]\w*)"\]/g)) {
      if (!byName.has(name) || wanted.has(name)) continue;
      wanted.add(name);
      want(byName.get(name));
    }
  };
  texts.forEach(want);
  const kept = [...byName].filter(([name]) => wanted.has(name)).map(([, text]) => text);
  return `interface components {\n    schemas: {${kept.join("")}\n    };\n}`;
}

function bundle() {
  const { found, offered } = declarations();
  const reached = new Set();
  const reach = (name) => {
    if (reached.has(name)) return;
    reached.add(name);
    // Of the schema only what the messages name is taken, so it is not walked through.
    if (name !== "components") mentioned(found.get(name), found).forEach(reach);
  };
  offered.forEach(reach);
  const texts = new Map(
    [...reached].filter((name) => name !== "components").map((name) => [name, found.get(name).getFullText()]),
  );
  const written = [...texts].map(([name, text]) => {
    const bare = text.trim().replace(/^((?:\/\*[\s\S]*?\*\/\s*)*)(?:export )?/, "$1");
    return offered.includes(name) ? bare.replace(/^((?:\/\*[\s\S]*?\*\/\s*)*)/, "$1export ") : bare;
  });
  const body = [...written, schemas(found.get("components"), [...texts.values()]), "export {};"].join("\n\n");
  return `// Types of taskws.js. Generated: dashboard/web/scripts/client-types.mjs.\n\n${body}\n`;
}

mkdirSync(OUT, { recursive: true });
const path = join(OUT, "taskws.d.ts");
writeFileSync(path, bundle());
const wrong = ts.getPreEmitDiagnostics(ts.createProgram([path], { ...STRICT, noEmit: true }));
if (wrong.length > 0) fail(wrong);
