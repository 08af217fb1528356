/**
 * The soak's clients: the very module that browsers load, many times in one Node process.
 *
 * Usage: node clients.mjs <taskws.js> <ws://host:port> <task uid> <options as JSON>
 * Each line of standard input is a command, each gets one line of JSON as answer:
 *   open N | churn 0|1 | view | close
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modulePath, base, uid, options] = process.argv.slice(2);
const require = createRequire(new URL("../../dashboard/web/package.json", import.meta.url));
const WebSocket = require("ws");
const { ReconnectingWebSocket } = await import(pathToFileURL(modulePath).href);

const counts = { opens: 0, resyncs: 0, lost: 0, repeated: 0, made: 0, messages: 0, replaced: 0, closes: {} };

const world = {
  openSocket: (url, protocols) => {
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false });
    socket.on("error", () => {}); // a browser needs no listener for it either
    return socket;
  },
};

/** One viewer: folds what it hears, and counts what the numbers say it did not hear, or heard twice. */
class Viewer {
  tasks = new Map();
  last = null;

  constructor(taskId) {
    counts.made += 1;
    this.taskId = taskId;
    this.socket = new ReconnectingWebSocket(
      taskId,
      {
        onOpen: () => {
          counts.opens += 1;
        },
        onResync: () => {
          counts.resyncs += 1;
        },
        onClose: ({ code }) => {
          counts.closes[code] = (counts.closes[code] ?? 0) + 1;
        },
        onMessage: (message) => this.take(message),
      },
      { ...JSON.parse(options), base, world },
    );
    this.socket.connect();
  }

  take(message) {
    counts.messages += 1;
    if (message.type === "snapshot") this.stand(message);
    else if (message.gseq !== undefined) this.fold(message);
  }

  stand(message) {
    if (message.task_id !== null) {
      this.tasks.set(message.task_id, seen(message.data));
      this.last = message.seq;
      return;
    }
    if ((message.part ?? 1) === 1) this.tasks.clear();
    for (const entry of message.data) this.tasks.set(entry.task_id, seen(entry.data));
    this.last = message.gseq;
  }

  fold(message) {
    const number = this.taskId === null ? message.gseq : message.seq;
    if (this.last !== null && number > this.last + 1 + (message.coalesced ?? 0)) counts.lost += 1;
    if (this.last !== null && number <= this.last) counts.repeated += 1;
    this.last = number;
    const [sequence] = this.tasks.get(message.task_id) ?? [];
    if (message.type === "task.deleted") this.tasks.delete(message.task_id);
    else if (message.type === "task.status") this.tasks.set(message.task_id, seen(message.data));
    else this.tasks.set(message.task_id, [sequence ?? null, message.data.tick]);
  }

  get shown() {
    return JSON.stringify([...this.tasks.entries()].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

const seen = (view) => [view.status.sequence ?? null, view.progress?.tick ?? null];

let viewers = [];
let churning;

/** One viewer leaves without a word of thanks, and another comes. */
function churn() {
  const index = Math.floor(Math.random() * viewers.length);
  const gone = viewers[index];
  gone.socket.dispose();
  counts.replaced += 1;
  viewers[index] = new Viewer(gone.taskId);
}

/** How many viewers show what, told apart by channel. */
function view() {
  const views = {};
  for (const viewer of viewers) {
    const key = `${viewer.taskId === null ? "tasks" : "task"}|${viewer.shown}`;
    views[key] = (views[key] ?? 0) + 1;
  }
  const connected = viewers.filter((viewer) => viewer.socket.state.status === "connected").length;
  return { connected, views, ...counts };
}

const commands = {
  open: (count) => {
    for (let index = 0; index < Number(count); index += 1) viewers.push(new Viewer(index % 4 === 3 ? uid : null));
    return { open: viewers.length };
  },
  churn: (on) => {
    clearInterval(churning);
    if (on === "1") churning = setInterval(churn, 500);
    return {};
  },
  view,
  close: () => {
    for (const viewer of viewers) viewer.socket.dispose();
    viewers = [];
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, argument] = line.trim().split(" ");
  process.stdout.write(`${JSON.stringify(commands[name](argument))}\n`);
}
process.exit(0);
