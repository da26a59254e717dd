// The contract on Node.js socket.io. Usage: node server.mjs ADDRESS:PORT

import { createServer } from "node:http";
import { Server } from "socket.io";

const [address, port] = (process.argv[2] ?? "").split(":");
if (!port) {
  console.error("usage: node server.mjs ADDRESS:PORT");
  process.exit(1);
}

const ROOMS = Array.from({ length: 1000 }, (_, number) => `room-${number}`);
const OTHERS = [
  "typing", "read", "edit", "delete", "react", "pin", "unpin", "mute", "unmute", "invite", "accept", "decline", "search",
  "profile", "status",
];

const server = createServer();
const io = new Server(server);
let handled = 0;

io.on("connection", (socket) => {
  socket.on("echo", (text, ack) => ack?.(text));
  socket.on("numbered", (_, ack) => ack?.(handled++));
  socket.on("join", async (number, ack) => {
    await socket.join(`room-${number}`);
    ack?.(number);
  });
  // Its buffers have no bound, so that nobody is missed.
  socket.on("broadcast", (news, ack) => {
    io.emit("news", news);
    ack?.(0);
  });
  socket.on("publish", (news, ack) => {
    io.to(ROOMS).emit("news", news);
    ack?.(0);
  });
  for (const event of OTHERS) {
    socket.on(event, (text, ack) => ack?.(text));
  }
});

server.listen(Number(port), address);
