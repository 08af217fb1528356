// Follows one task, or all, with nothing but taskws.js. A program of your own would be as long.
import { createReconnectingWebSocket } from "./taskws.js";

const uid = new URLSearchParams(location.search).get("task");
const tasks = new Map();

const socket = createReconnectingWebSocket(uid, {
  onMessage(message) {
    if (message.type === "snapshot") {
      // All tasks, in one part or several; or the one task.
      if (Array.isArray(message.data)) {
        if ((message.part ?? 1) === 1) tasks.clear();
        for (const entry of message.data) tasks.set(entry.task_id, entry.data);
      } else tasks.set(message.task_id, message.data);
    }
    if (message.type === "task.status") tasks.set(message.task_id, message.data);
    if (message.type === "task.progress") {
      const task = tasks.get(message.task_id);
      if (task) tasks.set(message.task_id, { ...task, progress: message.data });
    }
    if (message.type === "task.deleted") tasks.delete(message.task_id);
    showTasks();
  },
  onStateChange: showConnection,
});

function showTasks() {
  const rows = [...tasks.values()].map((task) => {
    const row = document.createElement("li");
    const { stage, percent } = task.progress ?? {};
    const progress = stage ? `, ${stage}${percent == null ? "" : ` ${percent} %`}` : "";
    row.textContent = `${task.namespace}/${task.name}: ${task.status.phase ?? "Pending"}${progress}`;
    return row;
  });
  document.querySelector("#tasks").replaceChildren(...rows);
}

function showConnection({ status, lastClose }) {
  const why = status !== "connected" && lastClose ? ` (${lastClose.code} ${lastClose.reason})` : "";
  document.querySelector("#connection").textContent = status + why;
  document.querySelector("#retry").hidden = status !== "error";
}

document.querySelector("#retry").addEventListener("click", () => socket.retry());
