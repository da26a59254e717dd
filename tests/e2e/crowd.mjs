// A crowd of official clients: node crowd.mjs URL COUNT [SESSION…]. Each joins /open, half over WebSocket alone, half from
// polling. Two after two take one of the sessions in turn, and the next two none. Commands come by standard input, a word
// per line: `report` prints what each has heard so far as a line of JSON, `change` does so once there is something new since,
// `settled` prints a line once all are connected, `end` ends.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, count, ...sessions] = process.argv.slice(2);
const clients = [];
let news = false;
let tell = () => {};
const changed = () => {
  news = true;
  tell();
};
const change = async () => {
  if (!news) await new Promise((resolve) => (tell = resolve));
  news = false;
};
for (let number = 0; number < Number(count); number++) {
  const transports = number % 2 ? ["polling", "websocket"] : ["websocket"];
  const sessionId = sessions[Math.floor(number / 2) % (sessions.length + 1)];
  const auth = sessionId ? { sessionId: decodeURIComponent(sessionId) } : {};
  // With credentials, so that the balancer's cookie comes back to it.
  const socket = io(`${url}/open`, { transports, auth, withCredentials: true, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000 });
  const client = { socket, heard: [], node: undefined, away: 0, longest: 0 };
  socket.on("connect", async () => {
    if (client.left) client.longest = Math.max(client.longest, Date.now() - client.left);
    client.left = undefined;
    client.node = await socket.timeout(5_000).emitWithAck("node").catch(() => undefined);
    changed();
  });
  socket.on("disconnect", () => {
    client.left ??= Date.now();
    client.away += 1;
    client.node = undefined;
    changed();
  });
  socket.on("n", (value) => {
    client.heard.push(value);
    changed();
  });
  socket.io.on("open", () => socket.io.engine.on("upgrade", changed));
  clients.push(client);
}

const settled = async () => {
  while (!clients.every((client) => client.socket.connected && client.node)) await change();
};

for await (const line of createInterface(process.stdin)) {
  if (line === "settled") {
    await settled();
    console.log("settled");
  } else if (line === "report" || line === "change") {
    if (line === "change") await change();
    news = false;
    const report = clients.map(({ socket, heard, node, away, longest }) => ({ heard, node, away, longest, transport: socket.io.engine.transport.name }));
    console.log(JSON.stringify(report));
  } else if (line === "end") {
    break;
  }
}
process.exit(0);
