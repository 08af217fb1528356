/** The page's one connection: the socket, the store it fills, and the hooks through which components read them. */

import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import type { OperatorHealth, TaskView } from "../api/types";
import type { TaskLog } from "./messages";
import type { SocketOptions } from "./options";
import { createReconnectingWebSocket, type ReconnectingWebSocket } from "./socket";
import type { Connection } from "./state";
import { TaskStore, type TasksSnapshot } from "./store";
import { taskChannel } from "./tracker";

/** A snapshot comes in parts of 200 tasks, and a task that failed often may be large. */
const MAX_MESSAGE_SIZE = 16 * 1_048_576;

type LogListener = (log: TaskLog["data"]) => void;

export class Live {
  readonly store: TaskStore;
  private readonly socket: ReconnectingWebSocket;
  private readonly listeners = new Set<() => void>();
  private readonly logListeners = new Map<string, Set<LogListener>>();
  private readonly openListeners = new Set<() => void>();

  constructor(options: SocketOptions = {}, store = new TaskStore()) {
    this.store = store;
    this.socket = createReconnectingWebSocket(
      null,
      {
        onMessage: (message) => {
          if (message.type === "task.log") {
            for (const listener of this.logListeners.get(message.task_id) ?? []) listener(message.data);
          } else store.apply(message);
        },
        onOpen: () => {
          for (const listener of this.openListeners) listener();
        },
        onStateChange: () => {
          for (const listener of this.listeners) listener();
        },
      },
      { reconnectInterval: 1_000, maxMessageSize: MAX_MESSAGE_SIZE, ...options },
    );
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getConnection = (): Connection => this.socket.state;
  readonly retry = (): void => this.socket.retry();

  /** Hear the log lines of one task, and each time the connection is there (lines may have been missed before). */
  followLog(uid: string, onLines: LogListener, onOpen: () => void): () => void {
    const listeners = this.logListeners.get(uid) ?? new Set();
    this.logListeners.set(uid, listeners.add(onLines));
    this.openListeners.add(onOpen);
    const leave = this.socket.subscribe(taskChannel(uid));
    return () => {
      leave();
      listeners.delete(onLines);
      this.openListeners.delete(onOpen);
    };
  }

  /** Close the connection until somebody asks for it again. */
  leave(): void {
    this.socket.disconnect();
  }

  dispose(): void {
    this.socket.dispose();
  }
}

const Context = createContext<Live | null>(null);

export function LiveProvider({ children, live: given }: { children: ReactNode; live?: Live }) {
  const [live] = useState(() => given ?? new Live());
  useEffect(() => {
    // A page that comes back from the browser's cache keeps its socket object; only leaving for good ends it.
    const end = (event: PageTransitionEvent) => event.persisted || live.dispose();
    window.addEventListener("pagehide", end);
    return () => window.removeEventListener("pagehide", end);
  }, [live]);
  return <Context.Provider value={live}>{children}</Context.Provider>;
}

export function useLive(): Live {
  const live = useContext(Context);
  if (live === null) throw new Error("useLive needs a LiveProvider above it");
  return live;
}

export function useTasks(): TasksSnapshot {
  const { store } = useLive();
  return useSyncExternalStore(store.subscribe, store.getTasks);
}

/** The live task of that name, if it is known. Its identity changes only when it does. */
export function useNamedTask(namespace: string, name: string): TaskView | undefined {
  const { store } = useLive();
  const read = useMemo(() => () => store.find(namespace, name), [store, namespace, name]);
  return useSyncExternalStore(store.subscribe, read);
}

export function useOperatorHealth(): OperatorHealth {
  const { store } = useLive();
  return useSyncExternalStore(store.subscribe, store.getHealth);
}

export function useConnection(): Connection {
  const live = useLive();
  return useSyncExternalStore(live.subscribe, live.getConnection);
}
