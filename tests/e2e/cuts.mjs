// Official clients that lose their connections, and note what they are told: node cuts.mjs CLIENTS, which is a list in JSON of
// { urls, transports, session, rooms }. Each joins /open at one of its urls, at another one after each disconnect, and its rooms whenever the
// server has not given them back. Commands come by standard input, a line each: `joined` prints the word once all have joined, `heard N` once all
// have heard N, or `not` before it after 15 seconds; `report` prints what has happened to each, `end` ends.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

let random = 1;
/** Any of these, the same in each run as far as the network lets it. */
const pick = (list) => {
  random = (random * 48271) % 2147483647;
  return list[random % list.length];
};

let tell = () => {};
const changed = () => tell();
/** Whether it holds within 15 seconds. */
const until = async (holds) => {
  const end = Date.now() + 15_000;
  while (!holds() && Date.now() < end) {
    await new Promise((resolve) => {
      tell = resolve;
      setTimeout(resolve, 1_000);
    });
  }
  return holds();
};

const clients = JSON.parse(process.argv[2]).map(({ urls, transports, session, rooms }) => {
  const auth = { resume: true, ...(session && { sessionId: decodeURIComponent(session) }) };
  const options = { transports, auth, forceNew: true, reconnectionDelay: 5, reconnectionDelayMax: 40, timeout: 2_000 };
  const socket = io(`${urls[0]}/open`, options);
  const client = { log: [], last: 0, joined: false, offset: undefined, doubles: 0 };
  const note = (...entry) => {
    client.log.push([...entry, Date.now()]);
    changed();
  };
  socket.io.on("reconnect_attempt", () => (socket.io.uri = pick(urls)));
  socket.io.on("open", () => {
    // This client delivers what a connection brought that ended before the answer to its handshake, though its offset is still the one before it:
    // it comes again. The front-end package forgets it, as this does.
    client.doubles += socket.receiveBuffer.length;
    if (process.env.KEEP === undefined) socket.receiveBuffer = [];
  });
  const join = async () => {
    try {
      for (const room of rooms) await socket.timeout(2_000).emitWithAck("join", room);
      client.joined = true;
      note("joined");
    } catch {
      // The connection was cut: the next one joins.
      if (socket.connected) await join();
    }
  };
  socket.on("connect", () => {
    note("connect", socket.recovered === true);
    if (socket.recovered !== true) client.joined = false;
    if (!client.joined) void join();
  });
  socket.on("disconnect", (reason) => note("disconnect", reason));
  socket.on("carolina:gap", ({ reason, since }) => note("gap", reason, since));
  socket.on("n", (value, offset) => {
    client.last = value;
    note("n", value, offset);
  });
  return client;
});

for await (const line of createInterface(process.stdin)) {
  const [word, value] = line.split(" ");
  let holds = true;
  if (word === "joined") holds = await until(() => clients.every(({ joined }) => joined));
  else if (word === "heard") holds = await until(() => clients.every(({ last }) => last === Number(value)));
  else if (word === "end") break;
  console.log(word === "report" ? JSON.stringify(clients) : holds ? word : `not ${word}`);
}
process.exit(0);
