import type { Manager } from "socket.io-client";

import { ChannelError } from "./channel-error.js";

/** The status of a WebSocket that was closed because of a message that is too large. */
const TOO_LARGE = 1009;

/** With these statuses a proxy says that it does not reach the server. */
const AWAY = [502, 503, 504];

/** What a server has answered to a request of the client. */
interface Answered {
  status: number;
  body: unknown;
}

/** Where a client connects to, among the options of its engine. */
interface Address {
  hostname?: string;
  port?: string | number;
  secure?: boolean;
  path?: string;
}

/**
 * Why a connection could not be opened. Browsers tell scripts little more than that; the server's response has the reason.
 * Has to be called while the error is reported: the response is gone afterwards.
 */
export function explain(error: Error, manager: Manager): Promise<ChannelError> {
  const seen = inContext(error);
  return seen ? Promise.resolve(told(error, seen, true)) : ask(error, manager);
}

/** Why the server has closed a connection, if its response or the WebSocket's closing says so. */
export function whyClosed(description: unknown): ChannelError | undefined {
  if (typeof description !== "object" || description === null) return undefined;
  const { code, reason } = ((description as { context?: unknown }).context ?? {}) as { code?: unknown; reason?: unknown };
  if (code === TOO_LARGE) return new ChannelError("payload_too_large", String(reason || "a message was larger than the server takes"));
  return ChannelError.ofBody(inContext(description)?.body);
}

/** The response in an error of the polling transport, if the page may read it. */
function inContext(error: object): Answered | undefined {
  const request = (error as { context?: { status?: unknown; responseText?: unknown } }).context;
  if (typeof request?.status !== "number" || request.status === 0) return undefined;
  return { status: request.status, body: parsed(request.responseText) };
}

/** Asks the server itself, by a request that opens no connection: a server that lets the page in answers that its method is wrong. */
async function ask(error: Error, manager: Manager): Promise<ChannelError> {
  const { hostname, port, secure, path } = (manager.engine as unknown as { opts: Address }).opts;
  const host = hostname?.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  const url = `${secure ? "https" : "http"}://${host}:${port}${path}?EIO=4&transport=polling`;
  try {
    const response = await fetch(url, { method: "POST", credentials: "omit", cache: "no-store" });
    return told(error, { status: response.status, body: parsed(await response.text()) }, false);
  } catch {
    return new ChannelError("unreachable", `the server cannot be reached: ${error.message}`);
  }
}

function told(error: Error, { status, body }: Answered, own: boolean): ChannelError {
  const answer = ChannelError.ofBody(body);
  if (answer && status === 403) return new ChannelError("page_refused", `${answer.message}${hint(answer.message)}`);
  if (answer) return new ChannelError(answer.code, `the server refuses the connection: ${answer.message}`, answer.details);
  if (typeof (body as { code?: unknown } | undefined)?.code !== "number") {
    return new ChannelError("unreachable", `${another(status)} (${error.message})`, { status });
  }
  if (own) return new ChannelError("unreachable", `the server cannot be reached: ${(body as { message?: string }).message ?? error.message}`);
  return new ChannelError(
    "unreachable",
    `the server answers requests, but no connection can be opened: ${error.message}; does a proxy keep WebSockets from passing?`,
  );
}

/** What it means that not the server has answered. */
function another(status: number): string {
  if (AWAY.includes(status)) return `the server behind the proxy is away: the proxy answers in its place, with status ${status}`;
  return (
    `what answers there, with status ${status}, is not the server: check \`url\` and the path, and that the proxy passes them to the server; ` +
    "a development server does so with `server.proxy` (Vite) or `devServer.proxy` (webpack)"
  );
}

/** Whether something else than the server has answered, such as a proxy. */
export function isFromAnother(error: ChannelError): boolean {
  return error.code === "unreachable" && error.details !== undefined;
}

/** What to do about an origin that is refused. */
function hint(message: string): string {
  if (!message.includes("`origins`") || typeof location === "undefined") return "";
  return `: origins = ["${location.origin}"] in config/web_sockets.toml. Behind a development proxy, let it pass on \`Host\` instead: no \`changeOrigin\``;
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text)) as unknown;
  } catch {
    return undefined;
  }
}
