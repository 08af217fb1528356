/** What the module for use alone offers; the dashboard serves it as `/client/taskws.js` (docs/client.md). */

export type { LogLine, OperatorHealth, Progress, TaskView } from "../api/types";
export type { ClientMessage, ServerMessage } from "./messages";
export type { Handlers, SocketOptions } from "./options";
export { createReconnectingWebSocket, ReconnectingWebSocket } from "./socket";
export { type Connection, type ConnectionStatus, DEFAULTS, type Link, type Options } from "./state";
export { ALL_TASKS, taskChannel } from "./tracker";
export type { BrowserEvent, SocketLike, World } from "./world";
