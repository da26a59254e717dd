// Official clients with events under way, while their nodes restart: node rolling.mjs URL COUNT PAUSE. Each joins /lab and has the
// server `work`, again PAUSE ms after each answer. Times are in milliseconds since 1970. Commands come by standard input: `settled` prints a line once all are connected and
// have had an answer; `end` waits for what is under way, prints a line of JSON and ends.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, count, pause] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const total = { answered: 0, refused: 0, lost: 0, refusedConnections: 0, toldTwice: 0, disconnects: [], connects: [] };
let ending = false;

const clients = Array.from({ length: Number(count) }, (_, number) => {
  const transports = [["websocket"], ["polling", "websocket"], ["polling"]][number % 3];
  const socket = io(`${url}/lab`, { transports, withCredentials: true, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000 });
  const client = { socket, away: 0, longest: 0, left: undefined, answered: 0, told: 0 };
  socket.on("connect", () => {
    if (client.left !== undefined) {
      client.longest = Math.max(client.longest, Date.now() - client.left);
      total.connects.push(Date.now());
    }
    client.left = undefined;
    client.told = 0;
  });
  socket.on("carolina:closed", () => {
    client.told += 1;
    if (client.told > 1) total.toldTwice += 1;
  });
  socket.on("disconnect", () => {
    client.left ??= Date.now();
    client.away += 1;
    total.disconnects.push(Date.now());
  });
  // Nobody is refused while another node is ready.
  socket.io.on("reconnect_error", () => (total.refusedConnections += 1));
  return client;
});

const work = async (client) => {
  await sleep(Math.random() * Number(pause));
  while (!ending) {
    if (client.socket.connected) {
      try {
        const answer = await client.socket.emitWithAck("work");
        if (answer?.error) total.refused += 1;
        else {
          total.answered += 1;
          client.answered += 1;
        }
      } catch {
        total.lost += 1;
      }
    }
    await sleep(Number(pause));
  }
};
const working = clients.map(work);

for await (const line of createInterface(process.stdin)) {
  if (line === "settled") {
    while (!clients.every((client) => client.socket.connected && client.answered > 0)) await sleep(20);
    console.log("settled");
  } else if (line === "end") {
    ending = true;
    await Promise.all(working);
    const left = clients.filter((client) => !client.socket.connected).length;
    const longest = Math.max(...clients.map((client) => client.longest));
    console.log(JSON.stringify({ ...total, longest, left, away: clients.filter((client) => client.away > 0).length }));
    break;
  }
}
process.exit(0);
