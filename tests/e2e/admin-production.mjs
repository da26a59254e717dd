// The Admin UI in production mode, and a node without one: node admin-production.mjs URL URL USER PASSWORD
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { next } from "./next.mjs";

const [url, without, username, password] = process.argv.slice(2);
const options = { reconnection: false, forceNew: true, timeout: 10_000, auth: { username, password } };
const connected = (socket) =>
  new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));

await assert.rejects(connected(io(`${without}/admin`, options)), { message: "Invalid namespace" });

const page = io(`${url}/admin`, options);
const shown = new Set();
page.onAny((event) => shown.add(event));
const [config, stats] = [next(page, "config"), next(page, "server_stats")];
await connected(page);
assert.ok(!(await config)[0].supportedFeatures.includes("ALL_EVENTS"));

const client = io(`${url}/open`, options);
const other = io(`${without}/open`, options);
await Promise.all([connected(client), connected(other)]);
await client.timeout(5_000).emitWithAck("join", "sports");
// The buttons work, for the clients of nodes that have them.
const heard = next(client, "goal");
page.emit("emit", "/open", "sports", "goal", 1);
assert.deepEqual(await heard, [1]);
// Those of a template reach the clients of all its instances, or of one.
const desks = [7, 8].map((id) => io(`${url}/desks/${id}`, options));
await Promise.all(desks.map(connected));
const rung = Promise.all(desks.map((desk) => next(desk, "bell")));
page.emit("emit", "/desks/{id}", undefined, "bell");
await rung;
const closed = next(desks[0], "disconnect");
page.emit("_disconnect", "/desks/7", false);
assert.equal((await closed)[0], "io server disconnect");
await stats;
const [later] = await next(page, "server_stats");
assert.equal(later.namespaces.find(({ name }) => name === "/open").socketsCount, 1);
assert.equal(later.namespaces.find(({ name }) => name === "/desks/{id}").socketsCount, 1);
assert.ok(desks[1].connected && later.clientsCount >= 1);
assert.deepEqual([...shown].sort(), ["config", "server_stats", "session"]);
for (const socket of [page, client, other, ...desks]) socket.disconnect();
