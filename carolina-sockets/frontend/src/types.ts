import type { ChannelError } from "./channel-error.js";

/** Events by their names, as Socket.IO types them. */
export interface EventsMap {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- so that interfaces without an index fit
  [event: string]: any;
}

declare global {
  /** The channels as the file says that `contract --typescript` has written; the part of {@link Channels} that is not written by hand. */
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by that file
  interface CarolinaSocketsChannels {}
}

/**
 * The events of each channel. The file that the application writes with `contract --typescript` declares them; without it, a page does so once:
 *
 * ```ts
 * declare module "carolina-sockets" {
 *   interface Channels {
 *     "/custom": { listen: CustomServerToClientEvents; emit: CustomClientToServerEvents };
 *     "/orders/{id}": { listen: OrderServerToClientEvents; emit: OrderClientToServerEvents };
 *   }
 * }
 * ```
 *
 * While it is empty, every path may be used, and every event is allowed.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by the page
export interface Channels extends CarolinaSocketsChannels {}

/** The paths of a map of channels, with any value for a parameter such as `{id}`; every path if the map is empty. */
export type Path<C> = [keyof C] extends [never] ? string : { [K in keyof C & string]: PathOf<K, C[K]> }[keyof C & string];
/** What a client listens to on a channel. */
export type ListenOf<C, P> = EntryOf<C, P> extends { listen: infer L extends EventsMap } ? L : EventsMap;
/** What a client sends on a channel. */
export type EmitOf<C, P> = EntryOf<C, P> extends { emit: infer E extends EventsMap } ? E : EventsMap;

type PathOf<K extends string, Entry> = Entry extends { path: infer P extends string } ? P : Pattern<K>;
type Pattern<K extends string> = K extends `${infer Before}{${string}}${infer After}` ? `${Before}${string}${Pattern<After>}` : K;
/** The entry of a path: a literal one comes before one with parameters. */
type EntryOf<C, P> = P extends keyof C ? C[P] : { [K in keyof C & string]: P extends string ? Matching<P, K, C[K]> : never }[keyof C & string];
type Matching<P extends string, K extends string, Entry> = Matches<P, K> extends true ? Entry : never;
/** Whether a path is one of those that a path with parameters stands for: segment by segment. */
type Matches<P extends string, K extends string> = K extends `${infer Segment}/${infer Others}`
  ? P extends `${infer First}/${infer Rest}`
    ? IsSegment<First, Segment> extends true
      ? Matches<Rest, Others>
      : false
    : false
  : P extends `${string}/${string}`
    ? false
    : IsSegment<P, K>;
type IsSegment<P extends string, K extends string> = K extends `{${string}}` ? true : P extends K ? true : false;

/** A listener, or the acknowledgement of an event. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- so that any list of parameters can be read from it
type Listener<Arguments extends any[] = any> = (...data: Arguments) => void;
/** The body with which an event that has failed is answered. */
interface FailureBody {
  error: { code: string; message: string };
}

/** The arguments of an event, without the acknowledgement. */
export type Data<F> = F extends Listener<infer All> ? WithoutAnswer<All> : never;
type WithoutAnswer<All extends unknown[]> = All extends [...infer Data, Listener]
  ? Data
  : Required<All> extends [...infer Data, Listener]
    ? Data
    : All;

/** What an event is answered with if it does not fail; several arguments as an array. */
export type Answer<F> = F extends Listener<infer All> ? OrUnknown<AnswerIn<All>> : never;
type AnswerIn<All extends unknown[]> = Required<All> extends [...unknown[], Listener<infer A>] ? Answered<A> : never;
type OrUnknown<T> = [T] extends [never] ? unknown : T;
type Answered<A extends unknown[]> = A extends []
  ? void
  : A extends [infer First]
    ? Exclude<First, FailureBody>
    : A extends [unknown?]
      ? OrVoid<Exclude<A[0], FailureBody | undefined>>
      : A extends [unknown, unknown, ...unknown[]]
        ? A
        : unknown;
type OrVoid<T> = [T] extends [never] ? void : T | undefined;

/** The codes of the errors that an event may fail with, as far as they are declared. */
export type Code<F> = F extends Listener<infer All> ? OrString<CodeIn<All>> : string;
type CodeIn<All extends unknown[]> = Required<All> extends [...unknown[], Listener<infer A>]
  ? Extract<A[number], FailureBody>["error"]["code"]
  : never;
type OrString<T> = [T] extends [never] ? string : T;
/** The codes of the package's own errors, and of a channel that lets the client not in. */
export type PackageCode = "timeout" | "disconnected" | "unreachable" | "page_refused" | "unknown_channel" | "removed" | "refused" | "unauthenticated" | "forbidden";
/** The error of a request. */
export type RequestError<F> = ChannelError & { readonly code: Code<F> | PackageCode };

/** The answer to a request, which is a promise that knows its errors. */
export interface Requested<F> extends Promise<Answer<F>> {
  then<A = Answer<F>, B = never>(
    answered?: ((answer: Answer<F>) => A | PromiseLike<A>) | null,
    failed?: ((error: RequestError<F>) => B | PromiseLike<B>) | null,
  ): Promise<A | B>;
  catch<B = never>(failed?: ((error: RequestError<F>) => B | PromiseLike<B>) | null): Promise<Answer<F> | B>;
}
