import { Manager, type ManagerOptions, type Socket } from "socket.io-client";

import { ChannelError } from "./channel-error.js";
import { Channel, type Host } from "./channel.js";
import { explain, isFromAnother } from "./explain.js";
import { type Gap, keepOffsets } from "./resume.js";
import { SessionService, SessionSvc } from "./session-svc.js";
import { carry, current } from "./trace.js";
import type { Channels, Data, EmitOf, EventsMap, ListenOf, Path, Requested } from "./types.js";

/** How a service connects. Every option has a default. */
export interface ServiceOptions {
  /** The server. Default: the page's own. */
  url?: string;
  /**
   * Whether the page's cookies, and with them its user, go along to a `url` of another origin. Default `true`: the server refuses pages
   * of origins that it does not list.
   */
  withCredentials?: boolean;
  /** How long a request waits for its answer, in milliseconds. Default 10000. */
  timeout?: number;
  /** The payload that the server reads with `handshake.auth()`, for every channel. */
  auth?: Record<string, unknown> | ((send: (data: object) => void) => void);
  /** What the page can see of its session. Default: by the cookies `carolina.sid` and `carolina.sid.marker`. */
  session?: SessionService;
  /**
   * The page's current span, as a `traceparent` of W3C's Trace Context; `undefined` for none. It is asked at each connect and for each
   * event, and becomes the parent of the server's spans. Only for servers of this framework: others would see another argument.
   */
  traceparent?: () => string | undefined;
  /** Further options of socket.io-client's `Manager`. */
  manager?: Partial<ManagerOptions>;
}

const KNOWN: Record<keyof Required<ServiceOptions>, true> = {
  url: true,
  withCredentials: true,
  timeout: true,
  auth: true,
  session: true,
  traceparent: true,
  manager: true,
};

/** How long a refresh waits for requests that the server has not answered, in milliseconds. */
const REFRESH_WAITS = 1000;

/** The server is asked why it refuses a connection at the first failure, and at every tenth in a row. */
const ASK_EVERY = 10;

interface Opened {
  channel: Channel;
  configured?: unknown;
}

/**
 * Channels over one shared connection. A page uses {@link WebSocketsSvc}; create others for other servers and for tests.
 *
 * `C` types the events of each channel, as {@link Channels} does, which is the default.
 */
export class WebSocketsService<C = Channels> {
  #options: ServiceOptions;
  #manager: Manager | undefined;
  readonly #channels = new Map<string, Opened>();
  readonly #gaps = new Set<(channel: Channel, gap: Gap) => void>();
  #unwatch: (() => void) | undefined;
  /** The marker when it was looked at last. */
  #seen: string | undefined;
  /** The marker with which the connection was opened. */
  #openedWith: string | undefined;
  #isRefreshing = false;
  #failures = 0;
  /** The reason of the failures to connect, by the error that has reported each. */
  #explained = new WeakMap<Error, Promise<ChannelError>>();
  #lastExplained: Promise<ChannelError> | undefined;

  constructor(options: ServiceOptions = {}) {
    this.#options = options;
  }

  /** Sets the connection options. Has to be called before the first channel. */
  configure(options: ServiceOptions): void {
    if (this.#manager) throw new ChannelError("already_connected", "`configure` comes before the first channel");
    const unknown = Object.keys(options).filter((key) => !Object.hasOwn(KNOWN, key));
    if (unknown.length > 0) {
      const known = Object.keys(KNOWN).join(", ");
      console.error(
        `carolina-sockets: \`configure\` does not know ${unknown.map((key) => `\`${key}\``).join(", ")}, only ${known}; options of socket.io-client's \`Manager\` go into \`manager\``,
      );
    }
    this.#options = { ...this.#options, ...options };
  }

  /** A channel, always the same one. It connects by itself. */
  channel<P extends Path<C>>(path: P): Channel<ListenOf<C, P>, EmitOf<C, P>> {
    return this.#open(path).channel as unknown as Channel<ListenOf<C, P>, EmitOf<C, P>>;
  }

  /**
   * Connects a channel and configures its socket, once: handlers that `configure` adds stay over reconnects. Called again
   * with the same function it does nothing; with another one it throws a {@link ChannelError} `already_configured`.
   */
  configureChannel<P extends Path<C>>(
    path: P,
    configure: (socket: Socket<ListenOf<C, P>, EmitOf<C, P>>) => void,
  ): Socket<ListenOf<C, P>, EmitOf<C, P>> {
    const opened = this.#open(path);
    const socket = this.connect(path);
    if (opened.configured && opened.configured !== configure) {
      throw new ChannelError("already_configured", `channel \`${path}\` is configured already, by another function`);
    }
    if (!opened.configured) {
      configure(socket);
      opened.configured = configure;
    }
    return socket;
  }

  /** The channel's socket, always the same one. */
  connect<P extends Path<C>>(path: P = "/" as P): Socket<ListenOf<C, P>, EmitOf<C, P>> {
    return this.channel(path).socket;
  }

  /** {@link Channel.request} of the channel at this path. */
  request<P extends Path<C>, Event extends keyof EmitOf<C, P> & string>(
    path: P,
    event: Event,
    ...data: Data<EmitOf<C, P>[Event]>
  ): Requested<EmitOf<C, P>[Event]> {
    try {
      return this.channel(path).request(event, ...data);
    } catch (error) {
      return Promise.reject(error) as Requested<EmitOf<C, P>[Event]>;
    }
  }

  /** {@link Channel.onJoin} of the channel at this path. */
  onJoin<P extends Path<C>>(path: P, joined: (socket: Socket<ListenOf<C, P>, EmitOf<C, P>>) => unknown): () => void {
    return this.channel(path).onJoin(joined);
  }

  /** {@link Channel.onClosed} of the channel at this path. */
  onClosed(path: Path<C>, closed: (error: ChannelError, comesBack: boolean) => void): () => void {
    return this.channel(path).onClosed(closed);
  }

  /** {@link Channel.onException} of the channel at this path. */
  onException(path: Path<C>, handler: (error: ChannelError, event: string) => void): () => void {
    return this.channel(path).onException(handler);
  }

  /** {@link Channel.onRefused} of the channel at this path. */
  onRefused(path: Path<C>, handler: (error: ChannelError) => void): () => void {
    return this.channel(path).onRefused(handler);
  }

  /** {@link Channel.onGap} of all channels, those included that are opened later. */
  onGap(handler: (channel: Channel, gap: Gap) => void): () => void;
  /** {@link Channel.onGap} of the channel at this path. */
  onGap<P extends Path<C>>(path: P, handler: (channel: Channel<ListenOf<C, P>, EmitOf<C, P>>, gap: Gap) => void): () => void;
  onGap<P extends Path<C>>(
    ...[first, handler]:
      | [handler: (channel: Channel, gap: Gap) => void, none?: undefined]
      | [path: P, handler: (channel: Channel<ListenOf<C, P>, EmitOf<C, P>>, gap: Gap) => void]
  ): () => void {
    if (handler !== undefined) return this.channel(first as P).onGap(handler);
    const all = first as (channel: Channel, gap: Gap) => void;
    this.#gaps.add(all);
    return () => void this.#gaps.delete(all);
  }

  /**
   * Makes all channels have the page's current session: after a log-in, which the service notices by itself where it can read the
   * marker cookie. Channels that have let the client not in, or removed it, for want of a user or rights are tried again. A session whose
   * value scripts can read is presented to the server; otherwise the connection is opened anew, within a second at the latest, once
   * the server has answered the requests that wait.
   */
  refresh(): void {
    if (!this.#manager || this.#isRefreshing) return;
    const channels = this.#all();
    if (this.#session.get() !== undefined) {
      for (const channel of channels) {
        channel.identify();
        channel.rejoin();
      }
      return;
    }
    const busy = channels.filter((channel) => channel.isBusy);
    if (busy.length === 0) return this.#connectAgain(channels.filter((channel) => channel.wantsIn));
    this.#isRefreshing = true;
    const waited = new Promise((resolve) => setTimeout(resolve, REFRESH_WAITS));
    void Promise.race([Promise.all(busy.map((channel) => channel.idle())), waited]).then(() => {
      this.#isRefreshing = false;
      this.#connectAgain(this.#all().filter((channel) => channel.wantsIn));
    });
  }

  /** Opens the connection anew, with the page's current cookies, and joins all channels. */
  reconnect(): void {
    this.#connectAgain(this.#all());
  }

  /** Closes the connection and removes all channels. */
  disconnect(): void {
    this.#all().forEach((channel) => channel.leave(false));
    this.#channels.clear();
    this.#unwatch?.();
    this.#unwatch = this.#manager = undefined;
  }

  get #session(): SessionService {
    return this.#options.session ?? SessionSvc;
  }

  #all(): Channel[] {
    return [...this.#channels.values()].map(({ channel }) => channel);
  }

  #connectAgain(channels: Channel[]): void {
    for (const channel of channels) channel.leave(true);
    for (const { socket } of channels) socket.connect();
  }

  /** Looks whether the page has another session than before, or its session another user. */
  #notice(): void {
    const marker = this.#session.marker();
    if (marker === this.#seen) return;
    this.#seen = marker;
    // After a log-out the server has told the sockets.
    if (marker === undefined) return;
    if (sessionOf(marker) !== sessionOf(this.#openedWith)) return this.refresh();
    // The server has given the sockets their new user.
    for (const channel of this.#all()) channel.rejoin();
  }

  #explain(error: Error): Promise<ChannelError> {
    const known = this.#explained.get(error);
    if (known) return known;
    if (!this.#lastExplained || this.#failures % ASK_EVERY === 0) {
      this.#lastExplained = explain(error, this.#manager as Manager);
      if (this.#failures === 0) {
        void this.#lastExplained.then((why) => {
          if (why.code === "page_refused" || isFromAnother(why)) console.error(`carolina-sockets: ${why.message}`);
        });
      }
    }
    this.#failures += 1;
    this.#explained.set(error, this.#lastExplained);
    return this.#lastExplained;
  }

  #open(path: string): Opened {
    const known = this.#channels.get(path);
    if (known) return known;
    if (!path.startsWith("/") || /[\s,?#]/.test(path)) {
      throw new ChannelError("invalid_path", `\`${path}\` is not a channel's path: it begins with \`/\`, as \`/chat\``);
    }
    const { auth, traceparent } = this.#options;
    const session = this.#session;
    const manager = this.#connection();
    let resume: ReturnType<typeof keepOffsets> | undefined;
    // The session is sent with every handshake, so that it is known before the first event. On a connection that is open already, this is called before
    // the socket is returned.
    const withSession = function (this: Socket, send: (data: object) => void): void {
      const asks = (resume ??= keepOffsets(this));
      const id = session.get();
      const trace = current(traceparent);
      const withTrace = (data: object): object => (trace === undefined ? data : { traceparent: trace, ...data });
      const withId = (data: object): object => (id === undefined ? data : { sessionId: id, ...data });
      const add = (data: object): void => send(withTrace({ ...asks(), ...withId(data) }));
      if (typeof auth === "function") auth(add);
      else add(auth ?? {});
    };
    const service = this;
    const host: Host = {
      get timeout() {
        return service.#options.timeout ?? 10_000;
      },
      get isRefreshing() {
        return service.#isRefreshing;
      },
      notice: () => this.#notice(),
      session: () => session.get(),
      explain: (error) => this.#explain(error),
      gap: (channel, gap) => this.#gaps.forEach((handler) => handler(channel, gap)),
    };
    const socket = manager.socket(path, { auth: withSession });
    resume ??= keepOffsets(socket);
    if (traceparent) carry(socket, traceparent);
    const opened: Opened = { channel: new Channel(path, socket as unknown as Socket<EventsMap, EventsMap>, host) };
    this.#channels.set(path, opened);
    return opened;
  }

  /** The connection, made for the first channel. */
  #connection(): Manager {
    if (this.#manager) return this.#manager;
    const { url, manager: options } = this.#options;
    const opening = (): void => void (this.#openedWith = this.#session.marker());
    // Without it, polling requests to another origin have no cookie. Outside of pages, the client would keep cookies of its own.
    const withCredentials = this.#options.withCredentials ?? (url !== undefined && typeof location !== "undefined");
    const all: WatchedOptions = { withCredentials, ...options, opening };
    this.#seen = this.#session.marker();
    const manager = url === undefined ? new WatchedManager(all) : new WatchedManager(url, all);
    manager.on("open", () => {
      this.#failures = 0;
      this.#lastExplained = undefined;
    });
    this.#unwatch = this.#session.watch(() => this.#notice());
    return (this.#manager = manager);
  }
}

type WatchedOptions = Partial<ManagerOptions> & { opening: () => void };

/** A manager that reports when it begins to open a connection, which is when the browser takes the cookies for it. */
class WatchedManager extends Manager {
  override open(done?: (error?: Error) => void): this {
    const before = this.engine;
    super.open(done);
    if (this.engine !== before) (this.opts as WatchedOptions).opening();
    return this;
  }
}

/** The part of a marker that changes with the session. */
function sessionOf(marker: string | undefined): string | undefined {
  return marker?.split(".")[0];
}

/** The page's channels. */
export const WebSocketsSvc = /* @__PURE__ */ new WebSocketsService();
export default WebSocketsSvc;
