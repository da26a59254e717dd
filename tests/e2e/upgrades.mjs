// Official clients behind proxies that cut each one's first WebSocket: node upgrades.mjs COUNT URL...
// Tells when all of them are connected after the cut, and then, for each URL, how many got the next event, how many had
// lost their connection, and how many poll.
import { io } from "socket.io-client";

const [count, ...urls] = process.argv.slice(2);

const groups = urls.map((url) => {
  const group = { got: 0, lost: 0, settled: [], got_all: [], sockets: [] };
  for (let number = 0; number < Number(count); number += 1) {
    const socket = io(`${url}/open`, { query: { cut: 1 }, forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 50 });
    group.sockets.push(socket);
    group.got_all.push(new Promise((resolve) => socket.once("tick", resolve)).then(() => (group.got += 1)));
    group.settled.push(
      new Promise((resolve) => {
        let is_cut = false;
        const settle = () => is_cut && socket.connected && resolve();
        // A client that has stopped polling, to switch, does not poll again after an error: it is lost, and comes back once it
        // misses the server's pings.
        let has_stopped = false;
        const cut = () => {
          is_cut = !has_stopped;
          settle();
        };
        socket.io.on("open", () => {
          socket.io.engine.once("upgrading", () => (has_stopped = true));
          socket.io.engine.once("upgradeError", cut);
        });
        socket.on("connect", settle);
        socket.on("disconnect", () => {
          group.lost += 1;
          is_cut = true;
          socket.io.opts.query = {};
        });
      }),
    );
  }
  return group;
});

await Promise.all(groups.flatMap((group) => group.settled));
console.log("ready");
await Promise.all(groups.flatMap((group) => group.got_all));
const polling = (group) => group.sockets.filter((socket) => socket.io.engine.transport.name === "polling").length;
console.log(JSON.stringify(groups.map((group) => [group.got, group.lost, polling(group)])));
