export { ChannelError } from "./channel-error.js";
export { Channel } from "./channel.js";
export { Presence } from "./presence.js";
export type { Meta, Present } from "./presence.js";
export type { Gap, GapReason } from "./resume.js";
export { SessionService, SessionSvc } from "./session-svc.js";
export type * from "./types.js";
export { WebSocketsService, WebSocketsSvc, WebSocketsSvc as default } from "./web-sockets-svc.js";
export type { ServiceOptions } from "./web-sockets-svc.js";
