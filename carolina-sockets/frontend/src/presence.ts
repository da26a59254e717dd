import type { Socket } from "socket.io-client";

/** What the server shows of one socket: what was tracked, and a reference that changes with it. */
export type Meta<T = Record<string, unknown>> = T & { ref: string };

/**
 * Somebody who is on a channel, with one entry for each of their sockets: tabs, devices. `Extra` is what the server's `#[on(presence)]` adds,
 * such as a name.
 */
export type Present<T = Record<string, unknown>, Extra = unknown> = Extra & {
  key: string;
  metas: Meta<T>[];
};

/** The lists of `presence_state`, and of `presence_diff` twice. */
type Listed<T, Extra> = Record<string, Extra & { metas: Meta<T>[] }>;

/**
 * Who is on a channel, as its server keeps it. Made by {@link Channel.presence}.
 *
 * While the connection is lost, the list stays as it was. After it the server's list is compared with it, so that `onJoin` and `onLeave` are
 * told of those alone who have come and gone in the meantime.
 */
export class Presence<T = Record<string, unknown>, Extra = unknown> {
  readonly #present = new Map<string, Present<T, Extra>>();
  readonly #joins = new Set<(key: string, present: Present<T, Extra>) => void>();
  readonly #leaves = new Set<(key: string, present: Present<T, Extra>) => void>();
  readonly #syncs = new Set<() => void>();
  /** Whether the list is the server's but for changes that are still to come. */
  #isSynced = false;
  /** Whether the server has told the whole list since the last disconnect. */
  #isTold = false;

  /** Presences are made by {@link Channel.presence}. */
  constructor(socket: Socket) {
    socket.on("presence_state", (state: Listed<T, Extra>) => {
      this.#isSynced = this.#isTold = true;
      const now = new Map(Object.entries(state));
      const gone = [...this.#present.keys()].filter((key) => !now.has(key));
      this.#apply([...now].map(([key, present]) => ({ ...present, key })), gone);
    });
    socket.on("presence_diff", ({ joins, leaves }: { joins: Listed<T, Extra>; leaves: Listed<T, Extra> }) => {
      // The state, which comes first, has it all.
      if (!this.#isSynced) return;
      const changed = new Map<string, Meta<T>[]>();
      const metas = (key: string): Meta<T>[] => changed.get(key) ?? this.#present.get(key)?.metas ?? [];
      for (const [key, { metas: left }] of Object.entries(leaves)) {
        const gone = new Set(left.map(({ ref }) => ref));
        changed.set(key, metas(key).filter(({ ref }) => !gone.has(ref)));
      }
      for (const [key, { metas: joined }] of Object.entries(joins)) {
        const known = new Set(metas(key).map(({ ref }) => ref));
        changed.set(key, [...metas(key), ...joined.filter(({ ref }) => !known.has(ref))]);
      }
      const here = [...changed].filter(([, metas]) => metas.length > 0);
      const present = ([key, metas]: [string, Meta<T>[]]): Present<T, Extra> =>
        ({ ...this.#present.get(key), ...joins[key], key, metas }) as Present<T, Extra>;
      this.#apply(here.map(present), [...changed.keys()].filter((key) => changed.get(key)?.length === 0));
    });
    socket.on("disconnect", () => (this.#isTold = false));
    // The changes that a resumed connection has missed come before this. With a new one, what comes before the next state belongs to no list.
    socket.on("connect", () => (this.#isSynced &&= this.#isTold || socket.recovered));
  }

  /** Who is there, in the order of their keys. */
  list(): Present<T, Extra>[] {
    return [...this.#present.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The entry of a key, if it is there. */
  get(key: string): Present<T, Extra> | undefined {
    return this.#present.get(key);
  }

  /**
   * Runs a function when somebody has come: with their first socket, and once for each who is there when the list arrives. Returns a
   * function that removes it.
   */
  onJoin(joined: (key: string, present: Present<T, Extra>) => void): () => void {
    this.#joins.add(joined);
    return () => void this.#joins.delete(joined);
  }

  /** Runs a function when somebody has gone, with their last socket and what was shown of it. Returns a function that removes it. */
  onLeave(left: (key: string, present: Present<T, Extra>) => void): () => void {
    this.#leaves.add(left);
    return () => void this.#leaves.delete(left);
  }

  /** Runs a function after each change of the list, what is shown of somebody included. Returns a function that removes it. */
  onSync(synced: () => void): () => void {
    this.#syncs.add(synced);
    return () => void this.#syncs.delete(synced);
  }

  /** Changes the list as a whole before any function is told. */
  #apply(here: Present<T, Extra>[], gone: string[]): void {
    const joined = here.filter(({ key }) => !this.#present.has(key));
    for (const present of here) this.#present.set(present.key, present);
    const left = gone.flatMap((key) => this.#present.get(key) ?? []);
    gone.forEach((key) => this.#present.delete(key));
    for (const present of joined) this.#joins.forEach((run) => run(present.key, present));
    for (const present of left) this.#leaves.forEach((run) => run(present.key, present));
    this.#syncs.forEach((run) => run());
  }
}
