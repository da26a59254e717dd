import type { Socket } from "socket.io-client";

/** Why a server could not give a client what it had missed. */
export type GapReason = "expired" | "overflow" | "epoch" | "identity" | "node";

/** What a client has missed for good: whatever was sent to it between `since` and its coming back. */
export interface Gap {
  reason: GapReason;
  /** Since when, in milliseconds since 1970, as far as the server knows it. */
  since?: number;
}

/** The parts of the official client that resuming needs and its types do not show. Minified builds have them by these names too. */
interface Internals {
  nsp: string;
  emitEvent?: (args: readonly unknown[]) => void;
}

/** The library's own events, which no listener to all events is told of. */
const OWN = "carolina:";
/** The type of the packet that answers a handshake. */
const CONNECT = 0;
const OFFSET = /^[0-9a-f]+:\d+$/;

/**
 * Has a socket keep the offsets that the server sends behind the arguments of events, in place of the official client. That hands them on to the listeners,
 * takes any text at the end for an offset, and keeps the former one when a listener throws.
 *
 * @returns what the socket adds to its handshakes; nothing with a client that is built otherwise, which the server then sends no offsets.
 */
export function keepOffsets(socket: Socket): () => { resume?: true; pid?: string; offset?: string } {
  const client = socket as unknown as Internals;
  const deliver = client.emitEvent;
  if (typeof deliver !== "function") return () => ({});
  let pid: string | undefined;
  let offset: string | undefined;
  socket.io.on("packet", ({ type, nsp, data }) => {
    if (type === CONNECT && nsp === client.nsp) pid = (data as { pid?: string } | undefined)?.pid;
  });
  client.emitEvent = (args) => {
    const last = args.at(-1);
    const hasOffset = pid !== undefined && args.length > 1 && typeof last === "string" && OFFSET.test(last);
    if (hasOffset) offset = last;
    const own = String(args[0]).startsWith(OWN) ? [...socket.listenersAny()] : [];
    if (own.length > 0) socket.offAny();
    try {
      deliver.call(client, hasOffset ? args.slice(0, -1) : args);
    } finally {
      own.forEach((listener) => socket.onAny(listener));
    }
  };
  return () => {
    if (pid === undefined) return { resume: true };
    // What came on a connection that ended before the answer to its handshake comes once more: the offset is the one before it.
    socket.receiveBuffer = [];
    return { resume: true, pid, ...(offset === undefined ? {} : { offset }) };
  };
}
