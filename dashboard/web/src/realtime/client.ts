/** What the module for use alone offers; the dashboard serves it as `/client/taskws.js` (docs/client.md). */

export type { ClientMessage, ServerMessage } from "./messages";
export type { Handlers, SocketOptions } from "./options";
export { createReconnectingWebSocket, ReconnectingWebSocket } from "./socket";
export { type Connection, DEFAULTS, type Link, type Options, type Status } from "./state";
export { ALL_TASKS, taskChannel } from "./tracker";
export type { BrowserEvent, SocketLike, World } from "./world";
