export { ChannelError } from "./channel-error.js";
export { SessionService, SessionSvc } from "./session-svc.js";
export { WebSocketsService, WebSocketsSvc, WebSocketsSvc as default } from "./web-sockets-svc.js";
export type { EventsMap, ServiceOptions } from "./web-sockets-svc.js";
