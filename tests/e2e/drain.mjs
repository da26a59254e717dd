// Official clients of a server that ends: node drain.mjs URL COUNT CHANNEL. Prints a line once all are connected, and one of JSON
// once all have been disconnected: for each, when, why, whether it comes back by itself, and what it was told before.
import { io } from "socket.io-client";

const [url, count, channel] = process.argv.slice(2);
const began = Date.now();
const clients = Array.from({ length: Number(count) }, (_, number) => {
  const transports = [["websocket"], ["polling"], ["polling", "websocket"]][number % 3];
  const socket = io(url + channel, { transports, forceNew: true, reconnectionDelay: 100 });
  const told = [];
  socket.on("carolina:closed", ({ code }) => told.push(code));
  const connected = new Promise((resolve) => socket.once("connect", resolve));
  const gone = new Promise((resolve) => {
    socket.once("disconnect", (reason) => resolve({ at: Date.now(), transport: socket.io.opts.transports.join(), reason, active: socket.active, told }));
  });
  return { socket, connected, gone };
});
await Promise.all(clients.map(({ connected }) => connected));
console.log("connected");
const gone = await Promise.all(clients.map(({ gone }) => gone));
const first = Math.min(...gone.map(({ at }) => at));
console.log(JSON.stringify(gone.map(({ at, ...rest }) => ({ ...rest, after: at - first }))));
process.exit(0);
