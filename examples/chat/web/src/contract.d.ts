// Written by `contract --typescript` from the channels' declarations; changes are lost.
/* eslint-disable */

/** The codes that any event may be answered with. */
export type CommonCode = "rate_limited" | "overloaded" | "shutting_down" | "timeout" | "internal";

/** What an event that has failed is answered with. */
export interface Failure<Code extends string = string> {
  error: { code: Code; message: string; details?: unknown };
}

/** The failure of an event that was sent without an acknowledgement. */
export interface Exception {
  code: string;
  message: string;
  details?: unknown;
  event: string;
}

/** Why the server ends the channel, sent before it does. */
export interface Closed {
  code: string;
  message: string;
}

/** What a client has missed for good, with when that began, in milliseconds since 1970. */
export interface Gap {
  reason: "expired" | "overflow" | "epoch" | "identity" | "node";
  since?: number;
}

/** Binary data, as clients send it. */
export type BinaryInput = ArrayBuffer | Uint8Array;
/** Binary data, as browsers get it. */
export type Binary = ArrayBuffer;

/** What the library itself emits on every channel. */
export interface SystemEvents {
  exception: (exception: Exception) => void;
  "carolina:closed": (closed: Closed) => void;
  /** On a channel with `resume`, to clients that have asked for it. */
  "carolina:gap": (gap: Gap, offset: string) => void;
  "carolina:offset": (offset: string) => void;
}

/** What the library itself takes on every channel. */
export interface SystemRequests {
  session_id: (session: string, answer?: (failure?: Failure) => void) => void;
}

/** A message to one user. */
export interface Direct {
  text: string;
  to: string;
}

/** A message, in a room or to one user. */
export interface Message {
  /**
   * When, in milliseconds since 1970.
   * An integer that may be beyond 2^53, where numbers lose their last digits.
   */
  at: number;
  /** The sender. */
  from: string;
  /** The text. */
  text: string;
  /** The room, or the user it is for. */
  to: string;
}

/**
 * `/`.
 * Clients of `/`.
 */
export namespace Main {
  /** Where a client joins it. */
  export type Path = "/";

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    /** The channel declares nothing of what it emits. */
    [event: string]: (...data: any[]) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    /** How many users are chatting, without their names. */
    people: (answer: (answer: number | Failure<CommonCode | (string & {})>) => void) => void;
  }
}

/**
 * `/moderators`. For clients that it authorizes.
 * Clients of `/moderators`.
 */
export namespace Moderators {
  /** Where a client joins it. */
  export type Path = "/moderators";

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    removed: (data: string[]) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    /** Lets a banned user in again. */
    readmit: (data: string, answer?: (failure?: Failure<CommonCode | "forbidden" | "invalid_payload" | "unauthenticated" | (string & {})>) => void) => void;
    /** Disconnects a user from every channel and bans them. */
    remove: (data: string, answer?: (failure?: Failure<CommonCode | "forbidden" | "invalid_payload" | "moderator" | "unauthenticated" | (string & {})>) => void) => void;
  }
}

/**
 * `/people`. For clients that it authorizes.
 * Clients of `/people`.
 */
export namespace People {
  /** Where a client joins it. */
  export type Path = "/people";

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    direct: (data: Message) => void;
    presence_diff: (data: {
      joins: { [key: string]: {
        metas: {
          ref: string;
        }[];
      } };
      leaves: { [key: string]: {
        metas: {
          ref: string;
        }[];
      } };
    }) => void;
    presence_state: (data: { [key: string]: {
      metas: {
        ref: string;
      }[];
    } }) => void;
    rooms: (data: string[]) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    /** Sends a message to all tabs of one user and of the sender. */
    direct: (data: Direct, answer?: (failure?: Failure<CommonCode | "forbidden" | "invalid_payload" | "offline" | "unauthenticated" | (string & {})>) => void) => void;
  }
}

/**
 * `/rooms/{room}`. For clients that it authorizes.
 * Clients of a room.
 */
export namespace RoomsRoom {
  /** Where a client joins it. */
  export type Path = `/rooms/${string}`;
  /** The parameters of the path. */
  export interface Parameters {
    room: string;
  }

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    history: (data: Message[]) => void;
    presence_diff: (data: {
      joins: { [key: string]: {
        metas: {
          ref: string;
        }[];
      } };
      leaves: { [key: string]: {
        metas: {
          ref: string;
        }[];
      } };
    }) => void;
    presence_state: (data: { [key: string]: {
      metas: {
        ref: string;
      }[];
    } }) => void;
    said: (data: Message) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    /** Says something in the room. */
    say: (data: string, answer?: (failure?: Failure<CommonCode | "forbidden" | "invalid_payload" | "unauthenticated" | (string & {})>) => void) => void;
    /** Shows to everyone in the room whether this client is typing. */
    typing: (data: boolean, answer?: (failure?: Failure<CommonCode | "forbidden" | "invalid_payload" | "unauthenticated" | (string & {})>) => void) => void;
  }
}

/** The channels by their paths, as `new WebSocketsService<Channels>()` takes them. */
export interface Channels {
  "/": { path: Main.Path; listen: Main.ServerToClientEvents; emit: Main.ClientToServerEvents };
  "/moderators": { path: Moderators.Path; listen: Moderators.ServerToClientEvents; emit: Moderators.ClientToServerEvents };
  "/people": { path: People.Path; listen: People.ServerToClientEvents; emit: People.ClientToServerEvents };
  "/rooms/{room}": { path: RoomsRoom.Path; listen: RoomsRoom.ServerToClientEvents; emit: RoomsRoom.ClientToServerEvents };
}

declare global {
  /** Types the channels of the npm package `carolina-sockets`. */
  interface CarolinaSocketsChannels extends Channels {}
}

// The same as JSON Schema, for `contract --check`:
//: ["$defs","Direct",{"description":"A message to one user.","properties":{"text":{"type":"string"},"to":{"type":"string"}},"required":["to","text"],"type":"object"}]
//: ["$defs","Message",{"description":"A message, in a room or to one user.","properties":{"at":{"description":"When, in milliseconds since 1970.","maximum":18446744073709551615,"minimum":0,"type":"integer"},"from":{"description":"The sender.","type":"string"},"text":{"description":"The text.","type":"string"},"to":{"description":"The room, or the user it is for.","type":"string"}},"required":["to","from","text","at"],"type":"object"}]
//: ["properties","/",{"description":"Clients of `/`.","properties":{"emits":{"additionalProperties":true,"properties":{},"type":"object"},"private":{"const":false},"takes":{"additionalProperties":false,"properties":{"people":{"description":"How many users are chatting, without their names.","properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":18446744073709551615,"minimum":0,"type":"integer"}],"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["internal","overloaded","rate_limited","shutting_down","timeout"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
//: ["properties","/moderators",{"description":"Clients of `/moderators`.","properties":{"emits":{"additionalProperties":false,"properties":{"removed":{"maxItems":1,"minItems":1,"prefixItems":[{"items":{"type":"string"},"type":"array"}],"type":"array"}},"type":"object"},"private":{"const":true},"takes":{"additionalProperties":false,"properties":{"readmit":{"description":"Lets a banned user in again.","properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["forbidden","internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"remove":{"description":"Disconnects a user from every channel and bans them.","properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["forbidden","internal","invalid_payload","moderator","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
//: ["properties","/people",{"description":"Clients of `/people`.","properties":{"emits":{"additionalProperties":false,"properties":{"direct":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Message"}],"type":"array"},"presence_diff":{"maxItems":1,"minItems":1,"prefixItems":[{"properties":{"joins":{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"},"leaves":{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}},"required":["joins","leaves"],"type":"object"}],"type":"array"},"presence_state":{"maxItems":1,"minItems":1,"prefixItems":[{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}],"type":"array"},"rooms":{"maxItems":1,"minItems":1,"prefixItems":[{"items":{"type":"string"},"type":"array"}],"type":"array"}},"type":"object"},"private":{"const":true},"takes":{"additionalProperties":false,"properties":{"direct":{"description":"Sends a message to all tabs of one user and of the sender.","properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Direct"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["forbidden","internal","invalid_payload","offline","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
//: ["properties","/rooms/{room}",{"description":"Clients of a room.","properties":{"emits":{"additionalProperties":false,"properties":{"history":{"maxItems":1,"minItems":1,"prefixItems":[{"items":{"$ref":"#/$defs/Message"},"type":"array"}],"type":"array"},"presence_diff":{"maxItems":1,"minItems":1,"prefixItems":[{"properties":{"joins":{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"},"leaves":{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}},"required":["joins","leaves"],"type":"object"}],"type":"array"},"presence_state":{"maxItems":1,"minItems":1,"prefixItems":[{"additionalProperties":{"properties":{"metas":{"items":{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}],"type":"array"},"said":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Message"}],"type":"array"}},"type":"object"},"parameters":{"properties":{"room":{"type":"string"}},"type":"object"},"private":{"const":true},"takes":{"additionalProperties":false,"properties":{"say":{"description":"Says something in the room.","properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["forbidden","internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"typing":{"description":"Shows to everyone in the room whether this client is typing.","properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"boolean"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["forbidden","internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
