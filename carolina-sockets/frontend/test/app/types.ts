// The events of the page's channels, declared for the package as it is installed.
import WebSocketsSvc, { ChannelError } from "carolina-sockets";

declare module "carolina-sockets" {
  interface Channels {
    "/lab": {
      listen: { news: (text: string) => void };
      emit: { echo: (text: string, answer: (text: string) => void) => void };
    };
  }
}

export async function typed(): Promise<string> {
  WebSocketsSvc.connect("/lab").on("news", (text) => text.trim());
  // @ts-expect-error -- the event takes a text
  WebSocketsSvc.request("/lab", "echo", 1).catch((error: ChannelError) => error.code);
  // @ts-expect-error -- no channel has this path
  WebSocketsSvc.channel("/elsewhere");
  WebSocketsSvc.channel("/lab").on("news", (text) => text.trim());
  WebSocketsSvc.channel("/lab").emit("echo", "typed");
  return WebSocketsSvc.channel("/lab").request("echo", "typed");
}
