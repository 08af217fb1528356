/** Calls to the server. Every failure is an `ApiError` with the reason and hint of problem+json. */

import { authorization } from "./session";
import type {
  ClientConfig,
  EndedTask,
  LogPage,
  MarketplacePage,
  MarketplaceVersions,
  NewTask,
  OperatorHealth,
  PackageCompanions,
  Problem,
  StorageReport,
  TaskList,
  TaskSights,
  TaskView,
  Upload,
} from "./types";

const PREFIX = "/api/v1";

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = "ApiError";
  }

  get reason(): string {
    return this.problem.reason;
  }

  /** The spec field that the server found wrong, such as `spec.source.url.url`. */
  get field(): string | null {
    const field = this.problem.details?.field;
    return typeof field === "string" ? field : null;
  }
}

/** Reason of a call that got no answer at all; the server never says it. */
export const UNREACHABLE = "ServerUnreachable";

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ title: UNREACHABLE, status: 0, detail: String(error), reason: UNREACHABLE });
}

/** Make an error of a failed answer, whatever its body is: a proxy in between may answer with HTML. */
export function problemOf(status: number, body: string): ApiError {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && "detail" in value) {
      const problem = value as Partial<Problem>;
      const detail = typeof problem.detail === "string" ? problem.detail : JSON.stringify(problem.detail);
      return new ApiError({ title: "", reason: `HTTP ${status}`, ...problem, detail, status });
    }
  } catch {
    // Not JSON: said below.
  }
  return new ApiError({ title: "", status, detail: `HTTP ${status}`, reason: `HTTP ${status}` });
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, headers: { Accept: "application/json", ...authorization() } };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.headers = { ...init.headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(PREFIX + path, init);
  } catch (error) {
    throw toApiError(error);
  }
  if (!response.ok) throw problemOf(response.status, await response.text());
  return (response.status === 204 ? undefined : await response.json()) as T;
}

const id = encodeURIComponent;

export const api = {
  config: () => call<ClientConfig>("GET", "/config"),
  operator: () => call<OperatorHealth>("GET", "/operator"),
  find: (namespace: string, name: string) =>
    call<TaskList>("GET", `/tasks?namespace=${id(namespace)}&name=${id(name)}`),
  create: (task: NewTask) => call<TaskView>("POST", "/tasks", task),
  cancel: (uid: string) => call<TaskView>("POST", `/tasks/${id(uid)}/cancel`),
  suspend: (uid: string) => call<TaskView>("POST", `/tasks/${id(uid)}/suspend`),
  resume: (uid: string) => call<TaskView>("POST", `/tasks/${id(uid)}/resume`),
  rerun: (uid: string) => call<TaskView>("POST", `/tasks/${id(uid)}/rerun`),
  remove: (uid: string) => call<void>("DELETE", `/tasks/${id(uid)}`),
  log: (uid: string, query: { attempt?: number; after?: number; limit?: number }) =>
    call<LogPage>("GET", `/tasks/${id(uid)}/log?${new URLSearchParams(numbers(query))}`),
  sights: (uid: string) => call<TaskSights>("GET", `/tasks/${id(uid)}/sights`),
  companions: (uid: string) => call<PackageCompanions[]>("GET", `/tasks/${id(uid)}/companions`),
  /** Tasks that ended in the last days and were deleted since. */
  history: () => call<EndedTask[]>("GET", "/history"),
  /** Let this browser follow a plain link to a file of ours: the server sets a cookie for that address alone. */
  allowDownload: (path: string) => call<void>("POST", "/downloads", { path }),
  storage: () => call<StorageReport>("GET", "/storage"),
  searchPlugins: (query: PluginQuery) =>
    call<MarketplacePage>("GET", `/marketplace/plugins?${new URLSearchParams(filled(query))}`),
  featuredPlugins: () => call<MarketplacePage>("GET", "/marketplace/featured"),
  pluginAuthors: () => call<{ authors: string[] }>("GET", "/marketplace/authors"),
  plugin: (author: string, name: string) =>
    call<MarketplaceVersions>("GET", `/marketplace/plugins/${id(author)}/${id(name)}`),
};

export interface PluginQuery {
  q: string;
  category: string;
  author: string;
  page: number;
}

export const iconUrl = (author: string, name: string) =>
  `${PREFIX}/marketplace/plugins/${id(author)}/${id(name)}/icon`;

/** The packages of several tasks as one zip. */
export const archiveUrl = (uids: readonly string[]) =>
  `${PREFIX}/archive?${uids.map((uid) => `task=${id(uid)}`).join("&")}`;

/** A file of this server as an object of the page, for what a plain link cannot bring: it has no Authorization header. */
export async function fetchBlob(url: string): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(url, { headers: authorization() });
  } catch (error) {
    throw toApiError(error);
  }
  if (!response.ok) throw problemOf(response.status, await response.text());
  return response.blob();
}

export const logTextUrl = (uid: string, attempt: number) =>
  `${PREFIX}/tasks/${id(uid)}/log.txt?attempt=${attempt}`;

function numbers(query: Record<string, number | undefined>): [string, string][] {
  return Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
}

function filled(query: PluginQuery): [string, string][] {
  return Object.entries(query)
    .map(([key, value]): [string, string] => [key, String(value)])
    .filter(([, value]) => value !== "");
}

function parsed<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

export interface UploadHandle {
  done: Promise<Upload>;
  cancel: () => void;
}

/** Send a file, telling how many bytes are through: `fetch` cannot tell that, so this is an XMLHttpRequest. */
export function upload(file: File, onProgress: (sent: number, total: number) => void): UploadHandle {
  const request = new XMLHttpRequest();
  const done = new Promise<Upload>((resolve, reject) => {
    request.open("POST", `${PREFIX}/uploads?filename=${id(file.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      const refused = request.status < 200 || request.status >= 300;
      const stored = refused ? null : parsed<Upload>(request.responseText);
      // A proxy in between may say 200 with a page of its own: that is no upload either.
      if (stored === null) reject(problemOf(request.status, request.responseText));
      else resolve(stored);
    };
    request.onerror = () => reject(toApiError(new Error("network error")));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}
