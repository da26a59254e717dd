import type { Socket } from "socket.io-client";

/** The key of the last argument, which the server takes off before a handler sees the arguments. */
const KEY = "carolina:traceparent";

/** What the server reads; it would take anything else for an argument. */
const VALID = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The page's current span, if it has one. */
export type Traceparent = () => string | undefined;

/** The span as the server reads it. */
export function current(traceparent: Traceparent | undefined): string | undefined {
  const value = traceparent?.();
  return value !== undefined && VALID.test(value) ? value : undefined;
}

/** Sends the page's span with each event of a socket. */
export function carry(socket: Socket, traceparent: Traceparent): void {
  const emit = socket.emit.bind(socket);
  socket.emit = (event: string, ...data: unknown[]) => {
    const value = current(traceparent);
    const end = typeof data.at(-1) === "function" ? data.length - 1 : data.length;
    // With `retries`, the client emits the same arguments again.
    if (value !== undefined && !isTrace(data[end - 1])) data.splice(end, 0, { [KEY]: value });
    return emit(event, ...data);
  };
}

function isTrace(argument: unknown): boolean {
  return typeof argument === "object" && argument !== null && Object.hasOwn(argument, KEY);
}
