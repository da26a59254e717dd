// The official client with more than the server takes: node large.mjs URL TRANSPORTS
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { next } from "./next.mjs";

const [url, transports] = process.argv.slice(2);
const socket = io(`${url}/large`, { transports: transports.split(","), reconnection: false, forceNew: true });
socket.on("disconnect", (reason) => assert.equal(reason, "io client disconnect"));
await next(socket, "connect");
const request = (...args) => socket.timeout(20_000).emitWithAck(...args);

const megabytes = 3_000_000;
const tooLarge = ({ error }) => {
  assert.equal(error.code, "payload_too_large");
  assert.equal(error.details.setting, "limits.max_payload");
  assert.equal(error.details.allowed, 1_000_000);
  assert.ok(error.details.actual > megabytes, String(error.details.actual));
};
tooLarge(await request("echo", "x".repeat(megabytes)));
tooLarge(await request("binary", [Buffer.alloc(megabytes)]));
const exception = next(socket, "exception");
socket.emit("echo", "x".repeat(megabytes));
const [error] = await exception;
assert.equal(error.event, "echo");
tooLarge({ error });

// The connection is the same, and in order.
assert.equal(await request("echo", "x".repeat(900_000)), 900_000);
assert.equal(await request("binary", [Buffer.alloc(900_000)]), 900_000);
const answers = await Promise.all([request("echo", "x".repeat(megabytes)), request("echo", "abc")]);
tooLarge(answers[0]);
assert.equal(answers[1], 3);

if (socket.io.engine.transport.name === "websocket") {
  // What is no event closes the connection, with a reason.
  socket.off("disconnect");
  const closed = new Promise((resolve) => socket.on("disconnect", (reason, details) => resolve([reason, details])));
  socket.io.engine.transport.ws.send(`3${"x".repeat(megabytes)}`);
  const [reason, details] = await closed;
  assert.equal(reason, "transport close");
  assert.equal(details.context.code, 1009);
  assert.match(String(details.context.reason), /^payload_too_large: 3000001 bytes, of 1000000 allowed/);
}
socket.disconnect();
