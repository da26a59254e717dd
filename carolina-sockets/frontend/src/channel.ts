import type { Socket } from "socket.io-client";

import { ChannelError } from "./channel-error.js";
import { whyClosed } from "./explain.js";
import { Presence } from "./presence.js";
import type { Gap } from "./resume.js";
import type { Answer, Data, EventsMap, RequestError, Requested } from "./types.js";

/** What a channel needs of its service. */
export interface Host {
  /** How long a request waits for its answer, in milliseconds. */
  readonly timeout: number;
  /** Whether the connection is about to be opened anew; requests wait for that. */
  readonly isRefreshing: boolean;
  /** Looks whether the page has another session by now. */
  notice(): void;
  /** The session's value, if a script can read it. */
  session(): string | undefined;
  /** Why the connection could not be opened. */
  explain(error: Error): Promise<ChannelError>;
  /** A channel has missed something for good. */
  gap(channel: Channel, gap: Gap): void;
}

/** A request without an answer. */
interface Waiting {
  event: string;
  isSent: boolean;
  send: () => void;
  fail: (error: ChannelError) => void;
}

/** With these codes a channel is tried again after a log-in. */
const AFTER_LOGIN = ["unauthenticated", "forbidden"];

/** One channel of a {@link WebSocketsService}. `Listen` and `Emit` type its events. */
export class Channel<Listen extends EventsMap = EventsMap, Emit extends EventsMap = EventsMap> {
  /** Where it is mounted. */
  readonly path: string;
  /** Its socket, always the same one. */
  readonly socket: Socket<Listen, Emit>;
  readonly #host: Host;
  readonly #raw: Socket;
  readonly #waiting = new Set<Waiting>();
  readonly #joins = new Set<(socket: Socket<Listen, Emit>) => unknown>();
  readonly #closes = new Set<(error: ChannelError, comesBack: boolean) => void>();
  readonly #refusals = new Set<(error: ChannelError) => void>();
  readonly #gaps = new Set<(channel: this, gap: Gap) => void>();
  readonly #presence: Presence;
  readonly #idle: (() => void)[] = [];
  #isJoined = false;
  /** Whether the service closes the socket to connect it again at once. */
  #isMoving = false;
  /** What the server has said before a disconnect. */
  #closed: ChannelError | undefined;
  /** The code with which the server let the client not in, or removed it. */
  #shutOut: string | undefined;
  /** Why it could not be joined so far. */
  #trouble: ChannelError | undefined;

  /** Channels are made by {@link WebSocketsService.channel}. */
  constructor(path: string, socket: Socket<Listen, Emit>, host: Host) {
    this.path = path;
    this.socket = socket;
    this.#host = host;
    this.#raw = socket as unknown as Socket;
    // From the start, as the server tells at each connect who is there.
    this.#presence = new Presence(this.#raw);
    this.#raw.on("connect", () => this.#connected());
    this.#raw.on("carolina:closed", (body: unknown) => (this.#closed = ChannelError.ofBody(body)));
    this.#raw.on("carolina:gap", (gap: Gap) => {
      this.#gaps.forEach((handler) => handler(this, gap));
      host.gap(this as unknown as Channel, gap);
    });
    this.#raw.on("disconnect", (reason, description) => this.#disconnected(reason, description));
    this.#raw.on("connect_error", (error) => this.#refused(error));
  }

  /**
   * Sends an event and resolves with its acknowledgement; several arguments as an array. Rejects with a
   * {@link ChannelError}: what the server failed with, `timeout`, `disconnected`, why the channel let the client not in, or why it
   * removed it. Waits for the connection if there is none, and for what {@link onJoin} does at once.
   */
  request<Event extends keyof Emit & string>(event: Event, ...data: Data<Emit[Event]>): Requested<Emit[Event]> {
    this.#host.notice();
    return new Promise<Answer<Emit[Event]>>((resolve, reject) => {
      const settle = (act: () => void): void => {
        if (!this.#waiting.delete(waiting)) return;
        clearTimeout(timer);
        act();
        if (!this.isBusy) this.#idle.splice(0).forEach((idle) => idle());
      };
      const waiting: Waiting = {
        event,
        isSent: false,
        send: () => {
          waiting.isSent = true;
          this.#raw.emit(event, ...(data as unknown[]), (...answers: unknown[]) => {
            settle(() => {
              const failed = ChannelError.inAnswer(answers[0]);
              if (failed) return reject(failed);
              resolve((answers.length > 1 ? answers : answers[0]) as Answer<Emit[Event]>);
            });
          });
        },
        fail: (error) => settle(() => reject(error)),
      };
      const { timeout } = this.#host;
      const timer = setTimeout(() => {
        const why = !waiting.isSent && this.#trouble ? `: ${this.#trouble.message}` : "";
        waiting.fail(new ChannelError("timeout", `\`${event}\` was not answered within ${timeout} ms${why}`));
      }, timeout);
      this.#waiting.add(waiting);
      if (!this.#raw.active && !this.#raw.connected) this.#raw.connect();
      if (this.#isJoined && !this.#host.isRefreshing) waiting.send();
    });
  }

  /** Whether an error is one that a request of this event was rejected with: after that, TypeScript knows its codes. */
  failed<Event extends keyof Emit & string>(event: Event, error: unknown): error is RequestError<Emit[Event]> {
    void event;
    return error instanceof ChannelError;
  }

  /** Sends an event without asking for an acknowledgement. Its failure is an exception, which {@link onException} gets. */
  emit<Event extends keyof Emit & string>(event: Event, ...data: Data<Emit[Event]>): void {
    this.#raw.emit(event, ...(data as unknown[]));
  }

  /** Listens to an event. Returns a function that removes the listener. */
  on<Event extends keyof Listen & string>(event: Event, listener: Listen[Event]): () => void {
    this.#raw.on(event, listener);
    return () => void this.#raw.off(event, listener);
  }

  /**
   * Runs a function at each connect, the first and every later one, and now if the channel is connected. What it sends before its first
   * `await` reaches the server before requests that waited for the connection. A server forgets a client's rooms with the
   * connection, unless the channel has {@link recovered}: here they are joined again, and what was missed is asked for. Returns a function that removes it.
   */
  onJoin(joined: (socket: Socket<Listen, Emit>) => unknown): () => void {
    this.#joins.add(joined);
    if (this.#isJoined) void this.#run(joined);
    return () => void this.#joins.delete(joined);
  }

  /**
   * Runs a function when the server has ended the channel, with its reason: the codes `unauthenticated`, `forbidden`, `removed`,
   * `shutting_down`, or `payload_too_large` for a message that could not be answered. `comesBack` is whether the socket reconnects by itself. Returns a function that removes it.
   */
  onClosed(closed: (error: ChannelError, comesBack: boolean) => void): () => void {
    this.#closes.add(closed);
    return () => void this.#closes.delete(closed);
  }

  /** Handles failures of events that were sent without an acknowledgement. Returns a function that removes the handler. */
  onException(handler: (error: ChannelError, event: string) => void): () => void {
    const heard = (body: unknown): void => {
      const event = (body as { event?: unknown } | null)?.event;
      handler(ChannelError.ofBody(body) ?? new ChannelError("internal", "an error that cannot be read"), String(event ?? ""));
    };
    this.#raw.on("exception", heard);
    return () => void this.#raw.off("exception", heard);
  }

  /** Handles errors when the channel cannot be joined or the server cannot be reached. Returns a function that removes the handler. */
  onRefused(handler: (error: ChannelError) => void): () => void {
    this.#refusals.add(handler);
    return () => void this.#refusals.delete(handler);
  }

  /**
   * Whether the last connect has resumed the one before: the server has given the rooms back, and whatever was missed, before {@link onJoin}
   * runs.
   */
  get recovered(): boolean {
    return this.#raw.recovered === true;
  }

  /**
   * Runs a function when the server cannot give what the channel has missed while it was away. Nothing of that has come then, and the page reads its
   * state anew. Returns a function that removes it.
   */
  onGap(handler: (channel: this, gap: Gap) => void): () => void {
    this.#gaps.add(handler);
    return () => void this.#gaps.delete(handler);
  }

  /**
   * Who is on the channel, always the same list, if the server declares the channel with `presence`. `T` types what it shows of each
   * socket, `Extra` what its `#[on(presence)]` adds to each key.
   */
  presence<T = Record<string, unknown>, Extra = unknown>(): Presence<T, Extra> {
    return this.#presence as unknown as Presence<T, Extra>;
  }

  /** Joins the channel if the server let the client not in, or removed it, for want of a user or rights. */
  rejoin(): void {
    if (!this.#raw.active && AFTER_LOGIN.includes(this.#shutOut ?? "")) this.#raw.connect();
  }

  /** Presents the session's value again. */
  identify(): void {
    const id = this.#host.session();
    if (id !== undefined && this.#raw.connected) this.#raw.emit("session_id", id);
  }

  /** Whether a request is waiting for an answer of the server. */
  get isBusy(): boolean {
    return [...this.#waiting].some((waiting) => waiting.isSent);
  }

  /** Resolves when none is. */
  idle(): Promise<void> {
    return this.isBusy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** Whether the socket is connected or connects by itself, or was shut out for want of a user or rights. */
  get wantsIn(): boolean {
    return this.#raw.active || AFTER_LOGIN.includes(this.#shutOut ?? "");
  }

  /** Leaves the channel. With `moving`, it is joined again at once, and requests that were not sent wait for that. */
  leave(moving: boolean): void {
    this.#isMoving = moving;
    this.#raw.disconnect();
    this.#isMoving = false;
  }

  #connected(): void {
    this.#isJoined = true;
    this.#closed = this.#shutOut = this.#trouble = undefined;
    this.identify();
    for (const joined of this.#joins) void this.#run(joined);
    for (const waiting of this.#waiting) if (!waiting.isSent) waiting.send();
  }

  /** Runs up to the first `await` at once. An error is reported as an unhandled rejection, and does not keep the others from running. */
  async #run(joined: (socket: Socket<Listen, Emit>) => unknown): Promise<void> {
    await joined(this.socket);
  }

  #disconnected(reason: string, description: unknown): void {
    this.#isJoined = false;
    const byServer = this.#closed ?? (reason === "io server disconnect" ? REMOVED : whyClosed(description));
    const comesBack = this.#raw.active || this.#isMoving;
    if (byServer && !comesBack) this.#shutOut = byServer.code;
    for (const waiting of this.#waiting) {
      if (!waiting.isSent && comesBack) continue;
      waiting.fail(byServer ?? new ChannelError("disconnected", `the connection ended before \`${waiting.event}\` was answered`));
    }
    if (byServer) this.#closes.forEach((closed) => closed(byServer, comesBack));
  }

  #refused(error: Error): void {
    if (this.#raw.active) {
      void this.#host.explain(error).then((explained) => {
        if (this.#isJoined) return;
        this.#trouble = explained;
        // It is refused again at every attempt, so that requests need not wait.
        if (explained.code === "page_refused") this.#waiting.forEach((waiting) => waiting.fail(explained));
        this.#refusals.forEach((handler) => handler(explained));
      });
      return;
    }
    const refusal = ChannelError.ofRefusal(error);
    this.#shutOut = refusal.code;
    this.#waiting.forEach((waiting) => waiting.fail(refusal));
    this.#refusals.forEach((handler) => handler(refusal));
  }
}

const REMOVED = new ChannelError("removed", "the server removed you from this channel");
