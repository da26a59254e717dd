import { Manager, type ManagerOptions, type Socket } from "socket.io-client";

import { ChannelError } from "./channel-error.js";
import { SessionService, SessionSvc } from "./session-svc.js";

/** Events by their names, as Socket.IO types them. */
export interface EventsMap {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- so that interfaces without an index fit
  [event: string]: any;
}

type Data<F> = F extends (...data: infer All) => void
  ? All extends [...infer Data, (...answer: never[]) => void]
    ? Data
    : All
  : never;
type Answer<F> = F extends (...data: infer All) => void
  ? All extends [...unknown[], (...answer: infer A) => void]
    ? A extends [infer First, ...infer Rest]
      ? Rest extends []
        ? First
        : A
      : unknown
    : unknown
  : never;

/** How a service connects. Every option has a default. */
export interface ServiceOptions {
  /** The server. Default: the page's own. */
  url?: string;
  /** How long a request waits for its answer, in milliseconds. Default 10000. */
  timeout?: number;
  /** The payload that the server reads with `handshake.auth()`, for every channel. */
  auth?: Record<string, unknown> | ((send: (data: object) => void) => void);
  /** Reads the session's value. Default: the cookie `carolina.sid`. */
  session?: SessionService;
  /** Further options of socket.io-client's `Manager`. */
  manager?: Partial<ManagerOptions>;
}

interface Channel<Listen extends EventsMap, Emit extends EventsMap> {
  socket: Socket<Listen, Emit>;
  configured?: (socket: Socket<Listen, Emit>) => void;
}

/**
 * Channels over one shared connection. A page uses {@link WebSocketsSvc}; create others for other servers and for tests.
 *
 * `Listen` and `Emit` type the events, as socket.io's `ServerToClientEvents` and `ClientToServerEvents` do.
 */
export class WebSocketsService<Listen extends EventsMap = EventsMap, Emit extends EventsMap = EventsMap> {
  #options: ServiceOptions;
  #manager: Manager | undefined;
  readonly #channels = new Map<string, Channel<Listen, Emit>>();

  constructor(options: ServiceOptions = {}) {
    this.#options = options;
  }

  /** Sets the connection options. Has to be called before the first channel. */
  configure(options: ServiceOptions): void {
    if (this.#manager) throw new ChannelError("already_connected", "`configure` comes before the first channel");
    this.#options = { ...this.#options, ...options };
  }

  /**
   * Connects a channel and configures its socket, once: handlers that `configure` adds stay over reconnects. Called again
   * with the same function it does nothing; with another one it throws a {@link ChannelError} `already_configured`.
   */
  configureChannel(path: string, configure: (socket: Socket<Listen, Emit>) => void): Socket<Listen, Emit> {
    const channel = this.#channel(path);
    if (channel.configured && channel.configured !== configure) {
      throw new ChannelError("already_configured", `channel \`${path}\` is configured already, by another function`);
    }
    if (!channel.configured) {
      configure(channel.socket);
      channel.configured = configure;
    }
    return channel.socket;
  }

  /** The channel's socket, always the same one. */
  connect(path = "/"): Socket<Listen, Emit> {
    return this.#channel(path).socket;
  }

  /**
   * Sends an event and resolves with its acknowledgement; several arguments as an array. Rejects with a
   * {@link ChannelError}: what the server failed with, `timeout`, `disconnected`, or why the channel let nobody in.
   */
  request<Event extends keyof Emit & string>(
    path: string,
    event: Event,
    ...data: Data<Emit[Event]>
  ): Promise<Answer<Emit[Event]>> {
    return new Promise((resolve, reject) => {
      const { socket } = this.#channel(path);
      const refused = (error: Error): void => {
        // While the socket is active, it reconnects; the request waits for that.
        if (!socket.active) settle(() => reject(ChannelError.ofConnectError(error, true)));
      };
      let settled = false;
      const settle = (act: () => void): void => {
        if (settled) return;
        settled = true;
        (socket as Socket).off("connect_error", refused);
        act();
      };
      if (!socket.active && !socket.connected) socket.connect();
      (socket as Socket).on("connect_error", refused);
      const timeout = this.#options.timeout ?? 10_000;
      (socket as Socket).timeout(timeout).emit(event, ...(data as unknown[]), (error: Error | null, ...answers: unknown[]) => {
        settle(() => {
          if (error) return reject(missing(error, event, timeout));
          const failed = ChannelError.inAnswer(answers[0]);
          if (failed) return reject(failed);
          resolve((answers.length > 1 ? answers : answers[0]) as Answer<Emit[Event]>);
        });
      });
    });
  }

  /** Handles failures of events that were sent without an acknowledgement. Returns a function that removes the handler. */
  onException(path: string, handler: (error: ChannelError, event: string) => void): () => void {
    const socket = this.connect(path) as unknown as Socket;
    const heard = (body: unknown): void => {
      const event = (body as { event?: unknown } | null)?.event;
      handler(ChannelError.ofBody(body) ?? new ChannelError("internal", "an error that cannot be read"), String(event ?? ""));
    };
    socket.on("exception", heard);
    return () => void socket.off("exception", heard);
  }

  /** Handles errors when a channel cannot be joined or the server cannot be reached. Returns a function that removes the handler. */
  onRefused(path: string, handler: (error: ChannelError) => void): () => void {
    const socket = this.connect(path) as unknown as Socket;
    const heard = (error: Error): void => handler(ChannelError.ofConnectError(error, !socket.active));
    socket.on("connect_error", heard);
    return () => void socket.off("connect_error", heard);
  }

  /** Reconnects all channels with the page's current cookies, after a log-in without a page load. */
  reconnect(): void {
    const sockets = [...this.#channels.values()].map((channel) => channel.socket);
    for (const socket of sockets) socket.disconnect();
    for (const socket of sockets) socket.connect();
  }

  /** Closes the connection and removes all channels. */
  disconnect(): void {
    for (const { socket } of this.#channels.values()) socket.disconnect();
    this.#channels.clear();
    this.#manager = undefined;
  }

  #channel(path: string): Channel<Listen, Emit> {
    const known = this.#channels.get(path);
    if (known) return known;
    if (!path.startsWith("/") || /[\s,?#]/.test(path)) {
      throw new ChannelError("invalid_path", `\`${path}\` is not a channel's path: it begins with \`/\`, as \`/chat\``);
    }
    const { url, auth, manager, session = SessionSvc } = this.#options;
    this.#manager ??= url === undefined ? new Manager(manager) : new Manager(url, manager);
    // The session is sent with every handshake, so that it is known before the first event; events that wait for the
    // connection are sent before any `connect` handler runs.
    const withSession = (send: (data: object) => void): void => {
      const id = session.get();
      const add = (data: object): void => send(id === undefined ? data : { sessionId: id, ...data });
      if (typeof auth === "function") auth(add);
      else add(auth ?? {});
    };
    const socket = this.#manager.socket(path, { auth: withSession }) as unknown as Socket<Listen, Emit>;
    (socket as unknown as Socket).on("connect", () => {
      const id = session.get();
      if (id !== undefined) (socket as unknown as Socket).emit("session_id", id);
    });
    const channel: Channel<Listen, Emit> = { socket };
    this.#channels.set(path, channel);
    return channel;
  }
}

function missing(error: Error, event: string, timeout: number): ChannelError {
  return error.message.includes("disconnected")
    ? new ChannelError("disconnected", `the connection ended before \`${event}\` was answered`)
    : new ChannelError("timeout", `\`${event}\` was not answered within ${timeout} ms`);
}

/** The page's channels. */
export const WebSocketsSvc = /* @__PURE__ */ new WebSocketsService();
export default WebSocketsSvc;
