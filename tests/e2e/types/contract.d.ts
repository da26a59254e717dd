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

export interface Checkin {
  deskName: string;
  kind: Kind;
  note?: string | null;
  seats: number;
}

/** A place in the house. */
export interface Desk {
  /** Its label. */
  label: string;
  /** Where it stands, if it does. */
  position: [number, number] | null;
  tags: string[];
}

/** A place in the house. */
export interface DeskInput {
  /** Its label. */
  label: string;
  /** Where it stands, if it does. */
  position?: [number, number] | null;
  tags?: string[];
}

export interface Download {
  /** Binary data. */
  file: Binary;
  more: Binary | null;
}

/** How somebody comes. */
export type Kind = "member" | "day-guest";

/** A message of some kind. */
export type Message = {
  text: string;
  type: "text";
} | {
  height: number;
  type: "image";
  width: number;
} | {
  type: "nothing";
};

export type Shape = "Empty" | {
  Circle: number;
} | {
  Line: {
    from: [number, number];
    to: [number, number];
  };
};

export interface SignUp {
  age: number;
  name: string;
}

/** Branches with branches. */
export interface Tree {
  branches: Tree[];
  name: string;
}

export interface Upload {
  /** Binary data. */
  file: BinaryInput;
  name: string;
}

/** What is shown of who is in a room. */
export interface Viewer {
  typing: boolean;
}

export interface Welcome {
  desk: Desk;
  /**
   * Counted from the start.
   * An integer that may be beyond 2^53, where numbers lose their last digits.
   */
  number: number;
}

/**
 * `/`.
 * The built-in channel: clients are in the rooms of their session and user, and hear what is sent to these.
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
  }
}

/**
 * `/custom`.
 * Clients of `/custom`.
 *
 * For the desk.
 */
export namespace Custom {
  /** Where a client joins it. */
  export type Path = "/custom";

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    "checked-in": (data: string) => void;
    download: (data: Download) => void;
    file: (data: Binary) => void;
    many: (...data: string[]) => void;
    message: (data: Message) => void;
    moved: (data: Desk) => void;
    nothing: () => void;
    opaque: (data: unknown) => void;
    pair: (data1: string, data2: number | null) => void;
    point: (data1: number, data2: number) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    ack: (answer: (...answer: any[]) => void) => void;
    all: (...data: [...string[], (answer: number | Failure<CommonCode | "invalid_payload">) => void]) => void;
    array: (data1: number, data2: number, answer: (...answer: [number, number] | [failure: Failure<CommonCode | "invalid_payload">]) => void) => void;
    bytes: (data1: string, data2: BinaryInput, answer: (answer: Binary | Failure<CommonCode | "invalid_payload">) => void) => void;
    /**
     * Takes a seat at a desk.
     *
     * Answers with the number of the check-in.
     */
    checkin: (data: Checkin, answer: (answer: Welcome | Failure<CommonCode | "invalid_payload" | "no_desk" | "no_seat" | "too_many" | (string & {})>) => void) => void;
    desk: (data: DeskInput, answer: (answer: Desk | Failure<CommonCode | "invalid_payload">) => void) => void;
    draw: (data: Shape, answer: (answer: Shape | Failure<CommonCode | "invalid_payload">) => void) => void;
    hidden: (answer: (answer: unknown | Failure<CommonCode>) => void) => void;
    map: (data: { [key: string]: number }, answer: (answer: { [key: string]: number } | Failure<CommonCode | "invalid_payload">) => void) => void;
    message: (data: Message, answer: (answer: Message | Failure<CommonCode | "invalid_payload">) => void) => void;
    nothing: (answer?: (failure?: Failure<CommonCode | (string & {})>) => void) => void;
    opaque: (data1: unknown, data2: string, answer: (answer: unknown | Failure<CommonCode | "invalid_payload">) => void) => void;
    optional: (...data: [answer?: (failure?: Failure<CommonCode | "invalid_payload">) => void] | [data: string | null, answer?: (failure?: Failure<CommonCode | "invalid_payload">) => void]) => void;
    say: (data: string, answer?: (failure?: Failure<CommonCode | "invalid_payload">) => void) => void;
    "sign-up": (data: SignUp, answer: (answer: string | Failure<CommonCode | "invalid_payload">) => void) => void;
    sum: (...data: [data1: number, answer: (answer: number | Failure<CommonCode | "invalid_payload">) => void] | [data1: number, data2: number | null, answer: (answer: number | Failure<CommonCode | "invalid_payload">) => void]) => void;
    swap: (data1: string, data2: boolean, answer: (...answer: [boolean, string] | [failure: Failure<CommonCode | "invalid_payload">]) => void) => void;
    tree: (data: Tree, answer: (answer: Tree | Failure<CommonCode | "invalid_payload">) => void) => void;
    try: (data: string, answer: (answer: boolean | Failure<CommonCode | "invalid_payload">) => void) => void;
    upload: (data: Upload, answer: (answer: number | Failure<CommonCode | "invalid_payload">) => void) => void;
  }
}

/**
 * `/open`. For clients that it authorizes.
 * For those who are logged in, whatever they send.
 */
export namespace Open {
  /** Where a client joins it. */
  export type Path = "/open";

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    /** The channel declares nothing of what it emits. */
    [event: string]: (...data: any[]) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    [event: string]: (...data: any[]) => void;
  }
}

/**
 * `/orders/{id}/lines/{line}`.
 * One order each.
 */
export namespace OrdersIdLinesLine {
  /** Where a client joins it. */
  export type Path = `/orders/${number}/lines/${string}`;
  /** The parameters of the path. */
  export interface Parameters {
    id: number;
    line: string;
  }

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    changed: (data: number) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    amount: (answer: (answer: number | Failure<CommonCode>) => void) => void;
  }
}

/**
 * `/rooms/{room}`.
 * One room each, in which everyone sees who is there.
 */
export namespace RoomsRoom {
  /** Where a client joins it. */
  export type Path = `/rooms/${string | number}`;
  /** The parameters of the path. */
  export interface Parameters {
    room: string | number;
  }

  /** What the server sends. */
  export interface ServerToClientEvents extends SystemEvents {
    presence_diff: (data: ({
      joins: ({ [key: string]: (({
        metas: ((Viewer & {
          ref: string;
        })[]);
      })) });
      leaves: ({ [key: string]: (({
        metas: ((Viewer & {
          ref: string;
        })[]);
      })) });
    })) => void;
    presence_state: (data: ({ [key: string]: (({
      metas: ((Viewer & {
        ref: string;
      })[]);
    })) })) => void;
    said: (data: string) => void;
  }

  /** What a client sends. */
  export interface ClientToServerEvents extends SystemRequests {
    typing: (data: boolean, answer?: (failure?: Failure<CommonCode | "invalid_payload" | (string & {})>) => void) => void;
  }
}

/** The channels by their paths, as `new WebSocketsService<Channels>()` takes them. */
export interface Channels {
  "/": { path: Main.Path; listen: Main.ServerToClientEvents; emit: Main.ClientToServerEvents };
  "/custom": { path: Custom.Path; listen: Custom.ServerToClientEvents; emit: Custom.ClientToServerEvents };
  "/open": { path: Open.Path; listen: Open.ServerToClientEvents; emit: Open.ClientToServerEvents };
  "/orders/{id}/lines/{line}": { path: OrdersIdLinesLine.Path; listen: OrdersIdLinesLine.ServerToClientEvents; emit: OrdersIdLinesLine.ClientToServerEvents };
  "/rooms/{room}": { path: RoomsRoom.Path; listen: RoomsRoom.ServerToClientEvents; emit: RoomsRoom.ClientToServerEvents };
}

declare global {
  /** Types the channels of the npm package `carolina-sockets`. */
  interface CarolinaSocketsChannels extends Channels {}
}

// The same as JSON Schema, for `contract --check`:
//: ["$defs","Checkin",{"properties":{"deskName":{"type":"string"},"kind":{"$ref":"#/$defs/Kind"},"note":{"type":["string","null"]},"seats":{"maximum":255,"minimum":0,"type":"integer"}},"required":["deskName","seats","kind"],"type":"object"}]
//: ["$defs","Desk",{"description":"A place in the house.","properties":{"label":{"description":"Its label.","type":"string"},"position":{"description":"Where it stands, if it does.","maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"type":["array","null"]},"tags":{"default":[],"items":{"type":"string"},"type":"array"}},"required":["label","position","tags"],"type":"object"}]
//: ["$defs","DeskInput",{"description":"A place in the house.","properties":{"label":{"description":"Its label.","type":"string"},"position":{"description":"Where it stands, if it does.","maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"type":["array","null"]},"tags":{"default":[],"items":{"type":"string"},"type":"array"}},"required":["label"],"type":"object"}]
//: ["$defs","Download",{"properties":{"file":{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."},"more":{"anyOf":[{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."},{"type":"null"}]}},"required":["file","more"],"type":"object"}]
//: ["$defs","Kind",{"description":"How somebody comes.","oneOf":[{"enum":["member"],"type":"string"},{"const":"day-guest","description":"For a day.","type":"string"}]}]
//: ["$defs","Message",{"description":"A message of some kind.","oneOf":[{"properties":{"text":{"type":"string"},"type":{"const":"text","type":"string"}},"required":["type","text"],"type":"object"},{"properties":{"height":{"maximum":4294967295,"minimum":0,"type":"integer"},"type":{"const":"image","type":"string"},"width":{"maximum":4294967295,"minimum":0,"type":"integer"}},"required":["type","width","height"],"type":"object"},{"properties":{"type":{"const":"nothing","type":"string"}},"required":["type"],"type":"object"}]}]
//: ["$defs","Shape",{"oneOf":[{"enum":["Empty"],"type":"string"},{"additionalProperties":false,"properties":{"Circle":{"type":"number"}},"required":["Circle"],"type":"object"},{"additionalProperties":false,"properties":{"Line":{"properties":{"from":{"maxItems":2,"minItems":2,"prefixItems":[{"maximum":2147483647,"minimum":-2147483648,"type":"integer"},{"maximum":2147483647,"minimum":-2147483648,"type":"integer"}],"type":"array"},"to":{"maxItems":2,"minItems":2,"prefixItems":[{"maximum":2147483647,"minimum":-2147483648,"type":"integer"},{"maximum":2147483647,"minimum":-2147483648,"type":"integer"}],"type":"array"}},"required":["from","to"],"type":"object"}},"required":["Line"],"type":"object"}]}]
//: ["$defs","SignUp",{"properties":{"age":{"maximum":120,"minimum":18,"type":"integer"},"name":{"maxLength":40,"minLength":2,"type":"string"}},"required":["name","age"],"type":"object"}]
//: ["$defs","Tree",{"description":"Branches with branches.","properties":{"branches":{"items":{"$ref":"#/$defs/Tree"},"type":"array"},"name":{"type":"string"}},"required":["name","branches"],"type":"object"}]
//: ["$defs","Upload",{"properties":{"file":{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."},"name":{"type":"string"}},"required":["name","file"],"type":"object"}]
//: ["$defs","Viewer",{"description":"What is shown of who is in a room.","properties":{"typing":{"type":"boolean"}},"required":["typing"],"type":"object"}]
//: ["$defs","Welcome",{"properties":{"desk":{"$ref":"#/$defs/Desk"},"number":{"description":"Counted from the start.","maximum":18446744073709551615,"minimum":0,"type":"integer"}},"required":["number","desk"],"type":"object"}]
//: ["properties","/",{"description":"The built-in channel: clients are in the rooms of their session and user, and hear what is sent to these.","properties":{"emits":{"additionalProperties":true,"properties":{},"type":"object"},"private":{"const":false},"takes":{"additionalProperties":false,"properties":{},"type":"object"}},"type":"object"}]
//: ["properties","/custom",{"description":"Clients of `/custom`.\n\nFor the desk.","properties":{"emits":{"additionalProperties":false,"properties":{"checked-in":{"maxItems":1,"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"download":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Download"}],"type":"array"},"file":{"maxItems":1,"minItems":1,"prefixItems":[{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."}],"type":"array"},"many":{"items":{"type":"string"},"type":"array"},"message":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Message"}],"type":"array"},"moved":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Desk"}],"type":"array"},"nothing":{"maxItems":0,"minItems":0,"type":"array"},"opaque":{"maxItems":1,"minItems":1,"prefixItems":[true],"type":"array"},"pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"string"},{"maximum":255,"minimum":0,"type":["integer","null"]}],"type":"array"},"point":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"type":"array"}},"type":"object"},"private":{"const":false},"takes":{"additionalProperties":false,"properties":{"ack":{"properties":{"answer":{"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"enum":["internal","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"all":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":18446744073709551615,"minimum":0,"type":"integer"}],"type":"array"},"arguments":{"items":{"type":"string"},"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"array":{"properties":{"answer":{"maxItems":2,"minItems":2,"prefixItems":[{"maximum":255,"minimum":0,"type":"integer"},{"maximum":255,"minimum":0,"type":"integer"}],"type":"array"},"arguments":{"minItems":2,"prefixItems":[{"maximum":255,"minimum":0,"type":"integer"},{"maximum":255,"minimum":0,"type":"integer"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"bytes":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."}],"type":"array"},"arguments":{"minItems":2,"prefixItems":[{"type":"string"},{"contentEncoding":"binary","contentMediaType":"application/octet-stream","description":"Binary data."}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"checkin":{"description":"Takes a seat at a desk.\n\nAnswers with the number of the check-in.","properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Welcome"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Checkin"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["internal","invalid_payload","no_desk","no_seat","overloaded","rate_limited","shutting_down","timeout","too_many"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"desk":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Desk"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/DeskInput"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"draw":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Shape"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Shape"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"hidden":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[true],"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"enum":["internal","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"map":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"additionalProperties":{"maximum":9223372036854775807,"minimum":-9223372036854775808,"type":"integer"},"type":"object"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"additionalProperties":{"maximum":9223372036854775807,"minimum":-9223372036854775808,"type":"integer"},"type":"object"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"message":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Message"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Message"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"nothing":{"properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["internal","overloaded","rate_limited","shutting_down","timeout"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"opaque":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[true],"type":"array"},"arguments":{"minItems":2,"prefixItems":[true,{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"optional":{"properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":0,"prefixItems":[{"type":["string","null"]}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"say":{"properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"sign-up":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/SignUp"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"sum":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":2147483647,"minimum":-2147483648,"type":"integer"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"maximum":2147483647,"minimum":-2147483648,"type":"integer"},{"maximum":2147483647,"minimum":-2147483648,"type":["integer","null"]}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"swap":{"properties":{"answer":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"boolean"},{"type":"string"}],"type":"array"},"arguments":{"minItems":2,"prefixItems":[{"type":"string"},{"type":"boolean"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"tree":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"$ref":"#/$defs/Tree"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Tree"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"try":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"type":"boolean"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"upload":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":18446744073709551615,"minimum":0,"type":"integer"}],"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"$ref":"#/$defs/Upload"}],"type":"array"},"error":{"properties":{"code":{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
//: ["properties","/open",{"description":"For those who are logged in, whatever they send.","properties":{"emits":{"additionalProperties":true,"properties":{},"type":"object"},"private":{"const":true},"takes":{"additionalProperties":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"enum":["forbidden","internal","overloaded","rate_limited","shutting_down","timeout","unauthenticated"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"},"properties":{},"type":"object"}},"type":"object"}]
//: ["properties","/orders/{id}/lines/{line}",{"description":"One order each.","properties":{"emits":{"additionalProperties":false,"properties":{"changed":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":65535,"minimum":0,"type":"integer"}],"type":"array"}},"type":"object"},"parameters":{"properties":{"id":{"type":"number"},"line":{"type":"string"}},"type":"object"},"private":{"const":false},"takes":{"additionalProperties":false,"properties":{"amount":{"properties":{"answer":{"maxItems":1,"minItems":1,"prefixItems":[{"maximum":65535,"minimum":0,"type":"integer"}],"type":"array"},"arguments":{"minItems":0,"type":"array"},"error":{"properties":{"code":{"enum":["internal","overloaded","rate_limited","shutting_down","timeout"]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
//: ["properties","/rooms/{room}",{"description":"One room each, in which everyone sees who is there.","properties":{"emits":{"additionalProperties":false,"properties":{"presence_diff":{"maxItems":1,"minItems":1,"prefixItems":[{"properties":{"joins":{"additionalProperties":{"properties":{"metas":{"items":{"allOf":[{"$ref":"#/$defs/Viewer"},{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"}]},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"},"leaves":{"additionalProperties":{"properties":{"metas":{"items":{"allOf":[{"$ref":"#/$defs/Viewer"},{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"}]},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}},"required":["joins","leaves"],"type":"object"}],"type":"array"},"presence_state":{"maxItems":1,"minItems":1,"prefixItems":[{"additionalProperties":{"properties":{"metas":{"items":{"allOf":[{"$ref":"#/$defs/Viewer"},{"properties":{"ref":{"type":"string"}},"required":["ref"],"type":"object"}]},"type":"array"}},"required":["metas"],"type":"object"},"type":"object"}],"type":"array"},"said":{"maxItems":1,"minItems":1,"prefixItems":[{"type":"string"}],"type":"array"}},"type":"object"},"parameters":{"properties":{"room":{}},"type":"object"},"private":{"const":false},"takes":{"additionalProperties":false,"properties":{"typing":{"properties":{"answer":{"maxItems":0,"minItems":0,"type":"array"},"arguments":{"minItems":1,"prefixItems":[{"type":"boolean"}],"type":"array"},"error":{"properties":{"code":{"anyOf":[{"enum":["internal","invalid_payload","overloaded","rate_limited","shutting_down","timeout"]},{"type":"string"}]},"details":{},"message":{"type":"string"}},"required":["code","message"],"type":"object"}},"type":"object"}},"type":"object"}},"type":"object"}]
