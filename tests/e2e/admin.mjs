// The protocol of the Admin UI with the official client: node admin.mjs URL URL COOKIE USER PASSWORD
// Two nodes in development mode: the page is on the first, most of what it is shown on the second.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { next } from "./next.mjs";

const [one, two, cookie, username, password] = process.argv.slice(2);
const options = { reconnection: false, forceNew: true, timeout: 10_000 };
const shown = [];

/** A page: what it was shown, and a way to wait for what it is. */
function page(url, auth) {
  const socket = io(`${url}/admin`, { ...options, auth });
  const events = [];
  const waiting = new Set();
  socket.onAny((event, ...args) => {
    events.push([event, ...args]);
    shown.push(JSON.stringify([event, ...args]));
    for (const look of waiting) look();
  });
  const until = (event, holds) =>
    new Promise((resolve, reject) => {
      const late = () => reject(new Error(`not shown: ${event} ${holds}: ${JSON.stringify(events.slice(-20))}`));
      const timeout = setTimeout(late, 15_000);
      const look = () => {
        const found = events.find(([name, ...args]) => name === event && holds(...args));
        if (!found) return;
        clearTimeout(timeout);
        waiting.delete(look);
        resolve(found.slice(1));
      };
      waiting.add(look);
      look();
    });
  return { socket, events, until };
}
const connected = (socket) =>
  new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));

// Nobody else gets in.
for (const auth of [undefined, {}, { username, password: "wrong" }, { username: "eve", password }, { sessionId: "guessed" }]) {
  await assert.rejects(connected(page(one, auth).socket), { message: "invalid credentials" });
}
assert.equal(shown.length, 0, "and nobody else is shown anything");

const first = page(one, { username, password });
await connected(first.socket);
const [sessionId] = await first.until("session", () => true);
const [config] = await first.until("config", () => true);
const buttons = ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "AGGREGATED_EVENTS", "ALL_EVENTS"];
assert.deepEqual(config.supportedFeatures, buttons);
assert.deepEqual(await first.until("all_sockets", () => true), [[]], "the page is not shown itself");

// A client of the other node, with secrets wherever there may be some.
const secrets = { extraHeaders: { cookie, authorization: "Bearer s3cret" }, query: { token: "s3cret" }, auth: { key: "s3cret" } };
const client = io(`${two}/open`, { ...options, ...secrets });
await connected(client);
const [seen] = await first.until("socket_connected", ({ id }) => id === client.id);
assert.deepEqual([seen.nsp, seen.clientId], ["/open", client.id.slice(0, 12)]);
assert.deepEqual(seen.data, { userId: "ada" });
assert.deepEqual([...seen.rooms].sort(), [client.id, "session.***", "user.ada"].sort());
assert.deepEqual([seen.handshake.headers.cookie, seen.handshake.headers.authorization], ["***", "***"]);
assert.deepEqual([seen.handshake.query.token, seen.handshake.query.EIO], ["***", "4"]);
// It may have upgraded before it is looked at.
if (seen.transport !== "websocket") {
  assert.equal(seen.transport, "polling");
  await first.until("socket_updated", ({ id, nsp, transport }) => id === client.id && nsp === "/open" && transport === "websocket");
}

// What it does.
await client.timeout(5_000).emitWithAck("join", "sports");
await first.until("event_received", (nsp, id, args) => nsp === "/open" && id === client.id && args[0] === "join" && args[1] === "sports");
await first.until("room_joined", (nsp, room, id) => nsp === "/open" && room === "sports" && id === client.id);
client.emit("session_id", "s3cret");
await first.until("event_received", (nsp, id, args) => args[0] === "session_id" && args[1] === "***");

// A second page, on the other node, by the session alone, is shown the clients of both.
const local = io(`${one}/open`, options);
await connected(local);
const second = page(two, { sessionId });
await connected(second.socket);
const [all] = await second.until("all_sockets", () => true);
assert.deepEqual(all.map(({ id }) => id).sort(), [client.id, local.id].sort());
assert.ok(!second.events.some(([event]) => event === "session"), "it has one");

// The buttons, across nodes: for all, for a room, for one.
const heard = Promise.all([next(client, "hello"), next(local, "hello")]);
first.socket.emit("emit", "/open", undefined, "hello", 1, { b: 2 });
assert.deepEqual(await heard, [[1, { b: 2 }], [1, { b: 2 }]]);
for (const { id } of [client, local]) {
  await first.until("event_sent", (nsp, to, args) => nsp === "/open" && to === id && args[0] === "hello" && args[1] === 1);
}
const inRoom = next(client, "goal");
first.socket.emit("emit", "/open", "sports", "goal");
assert.deepEqual(await inRoom, []);
const alone = next(client, "psst");
first.socket.emit("emit", "/open", client.id, "psst", [7]);
assert.deepEqual(await alone, [[7]]);
first.socket.emit("join", "/open", "chosen", client.id);
await second.until("room_joined", (nsp, room, id) => room === "chosen" && id === client.id);
first.socket.emit("join", "/open", "everybody");
await Promise.all([client, local].map(({ id }) => second.until("room_joined", (_, room, of) => room === "everybody" && of === id)));
first.socket.emit("leave", "/open", "chosen", "sports");
await second.until("room_left", (nsp, room, id) => room === "chosen" && id === client.id);
first.socket.emit("join", "/open", "user.eve", client.id);
assert.ok(!local.disconnected);

const { id: ofClient } = client;
const left = next(client, "disconnect");
first.socket.emit("_disconnect", "/open", false, client.id);
assert.equal((await left)[0], "io server disconnect");
for (const { until } of [first, second]) {
  await until("socket_disconnected", (nsp, id, reason) => id === ofClient && reason === "server namespace disconnect");
  await until("room_left", (nsp, room, id) => room === "everybody" && id === ofClient);
}
const closed = next(local, "disconnect");
second.socket.emit("_disconnect", "/open", true);
await closed;

// Both nodes tell of themselves.
const ids = new Set();
await first.until("server_stats", ({ serverId }) => ids.add(serverId).size === 2);
const [stats] = await first.until("server_stats", ({ aggregatedEvents }) => aggregatedEvents.some(({ type }) => type === "bytesIn"));
for (const key of ["hostname", "pid", "uptime", "clientsCount", "pollingClientsCount"]) assert.ok(key in stats, key);
assert.ok(stats.namespaces.some(({ name }) => name === "/open"));
assert.ok(!shown.some((text) => text.includes('"/admin"')), "nothing of the page itself");

const everything = shown.join("\n");
assert.ok(!everything.includes("s3cret") && !everything.includes(cookie.split("=")[1]), "no secret");
assert.ok(!/session\.(?!\*\*\*)/.test(everything), "no session's id");
assert.ok(!/room_joined.*user\.eve/.test(everything), "nobody is put into a user's room");
for (const { socket } of [first, second]) socket.disconnect();
