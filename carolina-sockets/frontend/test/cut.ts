import type { Socket } from "socket.io-client";

interface Engine {
  upgrading: boolean;
  transport: { close(): void };
  once(event: "upgrade", done: () => void): void;
}

/** Cuts a connection as a network does. Amid an upgrade, closing the transport ends nothing: the other one is about to take its place. */
export async function cutTransport(socket: { io: Pick<Socket["io"], "engine"> }): Promise<void> {
  const engine = socket.io.engine as unknown as Engine;
  if (engine.upgrading) await new Promise<void>((resolve) => engine.once("upgrade", resolve));
  engine.transport.close();
}
