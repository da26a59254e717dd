// Official clients behind a balancer, each from an address of its own and with the origin of a page of that server:
// node behind.mjs URL COUNT. Prints for each, as a line of JSON, its address, the address that the server sees, the node,
// the transport that it ended on, and how many of 20 events were answered.
import http from "node:http";
import { io } from "socket.io-client";

const [url, count] = process.argv.slice(2);
const transports = [["polling"], ["polling", "websocket"], ["websocket"]];
const told = [];
for (let number = 0; number < Number(count); number++) {
  const own = `127.${number + 1}.0.1`;
  const socket = io(`${url}/lab`, {
    transports: transports[number % 3],
    agent: new http.Agent({ localAddress: own, keepAlive: true }),
    extraHeaders: { origin: url },
    forceNew: true,
  });
  const failed = new Promise((_, refuse) => socket.on("connect_error", (error) => refuse(new Error(`${own}: ${error.message}`))));
  await Promise.race([failed, new Promise((connected) => socket.on("connect", connected))]);
  const ask = (event, ...data) => socket.timeout(5_000).emitWithAck(event, ...data);
  const [seen, node] = [await ask("address"), await ask("node")];
  let answered = 0;
  for (let event = 0; event < 20; event++) answered += (await ask("echo", event)) === event;
  if (number % 3 === 1 && socket.io.engine.transport.name === "polling") {
    await new Promise((upgraded) => socket.io.engine.once("upgrade", upgraded));
  }
  answered += (await ask("echo", "last")) === "last";
  told.push({ own, seen, node, transport: socket.io.engine.transport.name, answered });
  socket.disconnect();
}
console.log(JSON.stringify(told));
process.exit(0);
