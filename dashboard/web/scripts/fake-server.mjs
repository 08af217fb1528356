// A stand-in for the dashboard while the page is being made: serves the built page and speaks REST and the WebSocket's
// version 1, with tasks in every phase and one that runs. Not shipped, not used by tests.
// `node scripts/fake-server.mjs [port] [number of tasks]`; POST /fake/stale and /fake/drop play faults.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

const PORT = Number(process.argv[2] ?? 8090);
const MANY = Number(process.argv[3] ?? 12);
const STATIC = fileURLToPath(new URL("../../server/src/repack_dashboard/static/", import.meta.url));
const STAGES = ["Fetch", "Plan", "Download", "Build", "Pack", "Verify", "Publish"];
const MIME = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const CSP =
  "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const epoch = Math.random().toString(16).slice(2, 6);
const tasks = new Map();
const seqs = new Map();
const logs = new Map();
const clients = new Set();
let gseq = 0;
let health = {
  state: "Healthy",
  lastHeardAt: new Date().toISOString(),
  leader: true,
  queueDepth: 1,
  running: 1,
  slots: 2,
};

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const hex = (seed) => Array.from({ length: 64 }, (_, i) => ((seed * 31 + i * 7) % 16).toString(16)).join("");

function put(task) {
  tasks.set(task.uid, task);
  emit("task.status", task, task);
  return task;
}

function emit(type, task, data) {
  gseq += 1;
  seqs.set(task.uid, (seqs.get(task.uid) ?? 0) + 1);
  const message = {
    v: 1,
    type,
    task_id: task.uid,
    namespace: task.namespace,
    name: task.name,
    seq: seqs.get(task.uid),
    gseq,
    epoch,
    ts: new Date().toISOString(),
    ...(data ? { data } : {}),
  };
  broadcast(message);
}

function broadcast(message, channel) {
  const text = JSON.stringify(message);
  for (const client of clients) if (!channel || client.channels.has(channel)) client.send(text);
}

function artifact(name, seed, method, size) {
  return {
    target: "amd64",
    name: `${name}-linux-amd64-offline.difypkg`,
    uri: `/api/v1/artifacts/${seed}/${name}.difypkg`,
    sha256: hex(seed),
    sizeBytes: size,
    wheels: 23 + (seed % 60),
    verification: { method, passed: true, verifiedAt: ago(60) },
  };
}

const PLUGINS = [
  ["langgenius", "openai", "0.2.7"],
  ["langgenius", "ollama", "0.1.3"],
  ["junjiem", "mcp_sse", "0.2.4"],
  ["hjlarry", "agent-with-a-very-long-plugin-name-that-must-not-wrap-over-the-next-row", "0.0.14"],
  ["langgenius", "email", "0.0.14"],
  ["acme", "text-tools", "1.0.0"],
];
const ENDS = [
  "Succeeded",
  "Failed",
  "Succeeded",
  "Cancelled",
  "Queued",
  "Succeeded",
  "Suspended",
  "Starting",
  "Retrying",
];

function seed() {
  for (let i = MANY; i > 0; i -= 1) {
    const [author, name, version] = PLUGINS[i % PLUGINS.length];
    const phase = ENDS[i % ENDS.length];
    const final = ["Succeeded", "Failed", "Cancelled"].includes(phase);
    const method = ["NetworkNamespace", "SeccompFilter", "OfflineFlags"][i % 3];
    const failure = {
      reason: "NoWheelForPlatform",
      message:
        "numpy 2.1.3 has no wheel for linux/amd64 and Python 3.12, and none could be built. Hint: Choose another target, or a plugin version that does not need it.",
    };
    put({
      uid: `uid-${i}`,
      namespace: "default",
      name: `${name.slice(0, 30)}-${i}`,
      labels: i === 1 ? { "dify-repack.io/rerun-of": `${PLUGINS[2][1]}-2` } : {},
      createdAt: ago(i * 400),
      generation: 1,
      deleting: false,
      spec: {
        source: { type: "URL", url: { url: `https://example.org/${name}.difypkg` } },
        targets: [{ arch: i % 4 === 0 ? "arm64" : "amd64" }],
        python: "3.12",
        mode: "RequirementsOnly",
        output: { suffix: "offline" },
        desiredState: "Active",
      },
      status: {
        phase,
        sequence: 3,
        attempt: phase === "Queued" ? 0 : 1,
        startTime: phase === "Queued" ? null : ago(i * 400 - 2),
        completionTime: final ? ago(i * 400 - 49) : null,
        plugin: { author, name, version, displayName: `${author}/${name}` },
        ...(phase === "Succeeded" ? { artifacts: [artifact(name, i, method, 12_400_000 * i)] } : {}),
        ...(phase === "Failed" || phase === "Retrying" ? failure : {}),
        ...(phase === "Queued"
          ? {
              conditions: [
                {
                  type: "Admitted",
                  status: "False",
                  reason: "NoFreeSlot",
                  message: "1st of 1: all 2 slots in use",
                  lastTransitionTime: ago(5),
                },
              ],
            }
          : {}),
        ...(final
          ? {
              attempts: [
                {
                  attempt: 1,
                  job: `rpt-${name}-1`,
                  startTime: ago(i * 400 - 2),
                  completionTime: ago(i * 400 - 49),
                  exitCode: phase === "Failed" ? 15 : 0,
                  ...(phase === "Failed" ? { reason: failure.reason, message: failure.message } : {}),
                },
              ],
            }
          : {}),
      },
      progress: null,
    });
    logs.set(
      `uid-${i}`,
      Array.from({ length: 40 }, (_, n) => line(n + 1, `line ${n + 1} of a finished log`)),
    );
  }
}

const line = (n, text, level = "info") => ({
  n,
  ts: new Date().toISOString(),
  level,
  stage: "Download",
  text,
});

function say(task, text, level) {
  const lines = logs.get(task.uid) ?? [];
  logs.set(task.uid, lines);
  const added = line(lines.length + 1, text, level);
  lines.push(added);
  broadcast(
    {
      v: 1,
      type: "task.log",
      task_id: task.uid,
      namespace: task.namespace,
      name: task.name,
      data: { attempt: 1, lines: [added] },
    },
    `task:${task.uid}`,
  );
}

/** One task that goes through every stage while one looks. */
async function run(task, pace = 1) {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms * pace));
  const stages = STAGES.map((stage) => ({ stage, state: "Pending", bytesDone: 0 }));
  let tick = 0;
  const tell = (stage, percent, message) => {
    tick += 1;
    task = {
      ...tasks.get(task.uid),
      progress: {
        attempt: 1,
        tick,
        stage,
        stages: structuredClone(stages),
        percent,
        message,
        updatedAt: new Date().toISOString(),
      },
    };
    tasks.set(task.uid, task);
    emit("task.progress", task, task.progress);
  };
  const change = (status) => {
    task = put({
      ...tasks.get(task.uid),
      status: { ...tasks.get(task.uid).status, ...status, sequence: (task.status.sequence ?? 0) + 1 },
    });
  };
  change({
    phase: "Starting",
    attempt: 1,
    startTime: new Date().toISOString(),
    job: { name: `rpt-${task.name}-1` },
  });
  await wait(1200);
  change({ phase: "Running" });
  for (const [at, stage] of stages.entries()) {
    if (!tasks.has(task.uid) || tasks.get(task.uid).spec.desiredState === "Cancelled") return;
    if (stage.stage === "Build") {
      stage.state = "Skipped";
      continue;
    }
    Object.assign(stage, { state: "Running", startedAt: new Date().toISOString() });
    if (stage.stage === "Download") stage.bytesTotal = 77_600_000;
    const steps = stage.stage === "Download" ? 60 : 5;
    for (let step = 1; step <= steps; step += 1) {
      await wait(250);
      if (stage.bytesTotal) stage.bytesDone = Math.round((stage.bytesTotal * step) / steps);
      stage.message =
        stage.stage === "Download" ? `wheel ${step} of ${steps}` : `${stage.stage} step ${step}`;
      tell(stage.stage, Math.round((100 * (at + step / steps)) / 7), stage.message);
      say(
        task,
        stage.stage === "Download"
          ? `\u001b[32mgot\u001b[0m package_${step}-1.${step}.0-py3-none-any.whl (${step * 113} kB)`
          : `${stage.stage}: step ${step}`,
      );
      if (step === 3) say(task, "warning: a mirror answered slowly", "warning");
    }
    Object.assign(stage, { state: "Done", finishedAt: new Date().toISOString() });
  }
  tell("Publish", 100, null);
  const plugin = task.status.plugin;
  change({
    phase: "Succeeded",
    completionTime: new Date().toISOString(),
    artifacts: [artifact(plugin.name, 7, "NetworkNamespace", 77_900_000)],
  });
}

const CONFIG = {
  version: "0.1.0",
  instance: "fake",
  authMode: "none",
  namespace: "default",
  namespaces: ["default"],
  sources: ["URL", "Upload"],
  targets: ["amd64"],
  modes: ["RequirementsOnly"],
  limits: { maxUploadBytes: 524_288_000 },
  defaults: { targets: ["amd64"], python: "3.12", mode: "RequirementsOnly", suffix: "offline" },
};

const json = (response, status, body) => {
  response.writeHead(status, {
    "Content-Type": status < 400 ? "application/json" : "application/problem+json",
  });
  response.end(body === undefined ? "" : JSON.stringify(body));
};
const problem = (response, status, reason, detail, field) =>
  json(response, status, {
    type: "about:blank",
    title: reason,
    status,
    reason,
    detail,
    hint: "",
    details: field ? { field } : {},
  });

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

async function rest(request, response, url) {
  const path = url.pathname.replace("/api/v1", "");
  const [, , uid, verb] = path.split("/");
  const task = tasks.get(uid);
  if (path === "/config") return json(response, 200, CONFIG);
  if (path === "/operator") return json(response, 200, health);
  if (path === "/uploads") {
    const size = (await bodyOf(request)).length;
    return json(response, 201, {
      key: "up-1.difypkg",
      filename: url.searchParams.get("filename"),
      sizeBytes: size,
      sha256: hex(size),
    });
  }
  if (path === "/tasks" && request.method === "GET") {
    const items = [...tasks.values()].filter((each) => each.name === url.searchParams.get("name"));
    return json(response, 200, { items, total: items.length, counts: {} });
  }
  if (path === "/tasks" && request.method === "POST") {
    const { spec, name } = JSON.parse(String(await bodyOf(request)));
    if (spec.source.url?.url.includes("bad")) {
      return problem(
        response,
        422,
        "InvalidSpec",
        "The address names a host that cannot be resolved.",
        "spec.source.url.url",
      );
    }
    const made = make(name ?? `text-tools-${tasks.size + 1}`, spec);
    json(response, 201, made);
    void run(made);
    return;
  }
  if (!task) return problem(response, 404, "NotFound", "There is no such task.");
  if (verb === "log") return json(response, 200, page(uid, url.searchParams));
  if (verb === "log.txt") return response.end((logs.get(uid) ?? []).map((each) => each.text).join("\n"));
  if (verb === "rerun") {
    const made = make(`${task.name}-2`, task.spec, { "dify-repack.io/rerun-of": task.name });
    json(response, 201, made);
    void run(made);
    return;
  }
  if (verb === "cancel") {
    return json(
      response,
      200,
      put({
        ...task,
        spec: { ...task.spec, desiredState: "Cancelled" },
        status: { ...task.status, phase: "Cancelled", completionTime: new Date().toISOString() },
      }),
    );
  }
  if (request.method === "DELETE") {
    tasks.delete(uid);
    emit("task.deleted", task);
    return json(response, 204);
  }
  return json(response, 200, task);
}

function make(name, spec, labels = {}) {
  const plugin = { author: "acme", name: "text-tools", version: "1.0.0" };
  const uid = `uid-${Math.random().toString(16).slice(2)}`;
  return put({
    uid,
    namespace: "default",
    name,
    labels,
    createdAt: new Date().toISOString(),
    generation: 1,
    deleting: false,
    spec,
    status: { plugin, sequence: 0 },
    progress: null,
  });
}

function page(uid, query) {
  const lines = logs.get(uid) ?? [];
  const limit = Number(query.get("limit") ?? 1000);
  const after = query.get("after");
  const items =
    after === null ? lines.slice(-limit) : lines.filter((each) => each.n > Number(after)).slice(0, limit);
  return { attempt: 1, attempts: [1], items, last: lines.length, complete: false };
}

function file(response, pathname) {
  const wanted = normalize(join(STATIC, pathname));
  const found =
    wanted.startsWith(STATIC) && extname(wanted) && existsSync(wanted) ? wanted : join(STATIC, "index.html");
  response.writeHead(200, {
    "Content-Type": MIME[extname(found)] ?? "application/octet-stream",
    "Content-Security-Policy": CSP,
  });
  createReadStream(found).pipe(response);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/fake/stale") {
    health = { ...health, state: "Stale", lastHeardAt: ago(42) };
    broadcast({ v: 1, type: "operator.health", data: health });
    return json(response, 200, health);
  }
  if (url.pathname === "/fake/drop") {
    for (const client of clients) client.terminate();
    return json(response, 200, {});
  }
  if (url.pathname.startsWith("/api/v1/")) return void rest(request, response, url);
  file(response, url.pathname);
});

new WebSocketServer({ server, path: "/ws/tasks", handleProtocols: () => "taskws.v1" }).on(
  "connection",
  (socket) => {
    socket.channels = new Set(["tasks"]);
    clients.add(socket);
    const send = (message) => socket.send(JSON.stringify(message));
    send({
      v: 1,
      type: "hello",
      conn: "c-1",
      epoch,
      seq: gseq,
      recovered: false,
      replayed: 0,
      ping_interval: 30,
      server: "fake",
      operator: health,
    });
    const data = [...tasks.values()].map((task) => ({
      task_id: task.uid,
      namespace: task.namespace,
      name: task.name,
      seq: seqs.get(task.uid),
      data: task,
    }));
    send({ v: 1, type: "snapshot", task_id: null, namespace: null, name: null, gseq, epoch, data });
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if (message.type === "ping") send({ type: "pong", id: message.id });
      if (message.type === "subscribe") {
        socket.channels.add(message.channel);
        send({
          v: 1,
          type: "subscribed",
          id: message.id,
          channel: message.channel,
          epoch,
          seq: gseq,
          recovered: true,
          replayed: 0,
        });
      }
      if (message.type === "unsubscribe") socket.channels.delete(message.channel);
    });
    socket.on("close", () => clients.delete(socket));
  },
);

seed();
server.listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/`));
const first = make("text-tools", {
  source: { type: "Upload", upload: { key: "text-tools.difypkg" } },
  targets: [{ arch: "amd64" }],
  python: "3.12",
});
void run(first, 2);
