// The official client against the service of official_client.rs: node client.mjs URL TRANSPORTS
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { next } from "./next.mjs";

const [url, transports] = process.argv.slice(2);
const options = { transports: transports.split(","), reconnection: false, forceNew: true, timeout: 10_000 };

// The server lets nobody in before this is answered, which happens behind the first event.
const joins = (socket) => socket.on("connecting", (answer) => answer());

const socket = joins(io(`${url}/official`, { ...options, auth: { token: "t" } }));
const welcomed = next(socket, "welcome");
const first = new Promise((resolve) => socket.once("connect", () => socket.emit("echo", "at once", resolve)));
assert.equal(await first, "at once", "the first event is answered");
assert.deepEqual(await welcomed, ["t"]);

// Success, several arguments, binary ones.
assert.deepEqual(await socket.timeout(5_000).emitWithAck("echo", { a: [1, "é", null] }), { a: [1, "é", null] });
const reversed = await new Promise((resolve) => socket.emit("reverse", 1, "two", { three: 3 }, (...all) => resolve(all)));
assert.deepEqual(reversed, [{ three: 3 }, "two", 1]);
const bytes = await socket.timeout(5_000).emitWithAck("binary", Buffer.from([1, 2, 255]));
assert.deepEqual([...bytes], [255, 2, 1]);
const maybe = await socket.timeout(5_000).emitWithAck("maybe", Buffer.from([7]));
assert.ok(Buffer.isBuffer(maybe) && maybe[0] === 7, "a binary value below an option");
assert.equal(await socket.timeout(5_000).emitWithAck("maybe", null), null);
const nothing = await new Promise((resolve) => socket.emit("nothing", (...all) => resolve(all)));
assert.deepEqual(nothing, []);

// A newtype is one argument: answered, emitted and asked with.
const stamped = next(socket, "stamped");
socket.once("stamp-again", (stamp, answer) => answer(stamp * 10));
assert.equal(await socket.timeout(5_000).emitWithAck("stamp", 4), 41);
assert.deepEqual(await stamped, [4]);

// Failure, with and without an acknowledgement.
const failed = await socket.timeout(5_000).emitWithAck("fails");
assert.deepEqual(failed, { error: { code: "sold_out", message: "none are left", details: { waiting: 2 } } });
const exception = next(socket, "exception");
socket.emit("fails");
assert.deepEqual(await exception, [
  { code: "sold_out", message: "none are left", details: { waiting: 2 }, event: "fails" },
]);
const unknown = await socket.timeout(5_000).emitWithAck("nonsense");
assert.equal(unknown.error.code, "unknown_event");

// In order, a thousand in flight, each answered once.
const answers = await Promise.all(Array.from({ length: 1_000 }, (_, n) => socket.timeout(20_000).emitWithAck("count", n)));
assert.deepEqual(answers, Array.from({ length: 1_000 }, (_, n) => [n, n]).map(([n]) => n));

// The server asks, the client answers.
socket.once("question", (data, answer) => answer(`${data}!`));
assert.equal(await socket.timeout(5_000).emitWithAck("ask"), "why!");

// Another channel over the same connection; a private one refuses.
const other = joins(socket.io.socket("/other", {}));
await next(other.connect(), "connect");
assert.equal(await other.timeout(5_000).emitWithAck("echo", 1), 1);
const refused = socket.io.socket("/private", {});
refused.connect();
assert.equal((await next(refused, "connect_error"))[0].message, "unauthenticated");
const unmounted = socket.io.socket("/nowhere", {});
unmounted.connect();
assert.equal((await next(unmounted, "connect_error"))[0].message, "Invalid namespace");

// Taken off by the server, and back again: the documented pattern.
const dismissed = next(socket, "disconnect");
socket.emit("dismiss");
assert.equal((await dismissed)[0], "io server disconnect");
const back = next(socket, "connect");
socket.connect();
await back;
assert.equal(await socket.timeout(5_000).emitWithAck("echo", "again"), "again");
assert.equal(await other.timeout(5_000).emitWithAck("echo", 2), 2, "the other channel was not disturbed");

const used = socket.io.engine.transport.name;
const expected = transports === "polling" ? "polling" : "websocket";
if (used !== expected) {
  await new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
}
assert.equal(socket.io.engine.transport.name, expected);
assert.equal(await socket.timeout(5_000).emitWithAck("echo", "upgraded"), "upgraded");
for (const open of [socket, other, refused, unmounted]) open.disconnect();
console.log("ok");
