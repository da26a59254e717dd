/** Events by their names, as Socket.IO types them. */
export interface EventsMap {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- so that interfaces without an index fit
  [event: string]: any;
}

/**
 * The events of each channel, which a page declares once:
 *
 * ```ts
 * declare module "carolina-sockets" {
 *   interface Channels {
 *     "/custom": { listen: CustomServerToClientEvents; emit: CustomClientToServerEvents };
 *     [order: `/orders/${string}`]: { listen: OrderServerToClientEvents; emit: OrderClientToServerEvents };
 *   }
 * }
 * ```
 *
 * While it is empty, every path may be used, and every event is allowed.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by the page
export interface Channels {}

/** The paths of a map of channels; every path if the map is empty. */
export type Path<C> = [keyof C] extends [never] ? string : keyof C & string;
/** What the server sends on a channel. */
export type ListenOf<C, P> = P extends keyof C ? (C[P] extends { listen: infer L extends EventsMap } ? L : EventsMap) : EventsMap;
/** What a client sends on a channel. */
export type EmitOf<C, P> = P extends keyof C ? (C[P] extends { emit: infer E extends EventsMap } ? E : EventsMap) : EventsMap;

/** The arguments of an event, without the acknowledgement. */
export type Data<F> = F extends (...data: infer All) => void
  ? All extends [...infer Data, (...answer: never[]) => void]
    ? Data
    : All
  : never;
/** What an event is answered with; several arguments as an array. */
export type Answer<F> = F extends (...data: infer All) => void
  ? All extends [...unknown[], (...answer: infer A) => void]
    ? A extends [infer First, ...infer Rest]
      ? Rest extends []
        ? First
        : A
      : unknown
    : unknown
  : never;
