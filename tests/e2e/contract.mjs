// The documents of a contract, by their official readers, and against the server itself: node contract.mjs SCHEMA ASYNCAPI URL
// Payloads that the server takes are valid by the schema, with their answers, and those that it refuses as `invalid_payload` are not.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { io } from "socket.io-client";

const [schemaFile, asyncapiFile, url] = process.argv.slice(2);

const { document, diagnostics } = await new Parser().parse(readFileSync(asyncapiFile, "utf8"));
assert.deepEqual(diagnostics.filter(({ severity }) => severity < 2).map(({ message, path }) => `${path.join(".")}: ${message}`), []);
assert.equal(document.version().split(".")[0], "3");
const operations = document.operations().all();
const receive = operations.find((operation) => operation.id() === "Custom.receive.checkin");
assert.equal(receive.action(), "receive");
assert.deepEqual(receive.reply().messages().all().map((message) => message.name()), ["checkin", "checkin"]);
assert.equal(operations.find((operation) => operation.id() === "Custom.send.checked-in").action(), "send");
assert.deepEqual(document.channels().all().map((channel) => channel.address()).sort(), ["/", "/custom", "/open", "/orders/{id}/lines/{line}", "/rooms/{room}"]);

const contract = JSON.parse(readFileSync(schemaFile, "utf8"));
assert.equal(contract.$schema, "https://json-schema.org/draft/2020-12/schema");
const ajv = new Ajv2020({ strictTuples: false });
addFormats.default(ajv);
ajv.addSchema(contract, "contract");
const valid = (event, what, value) => ajv.getSchema(`contract#/properties/~1custom/properties/takes/properties/${event}/properties/${what}`)(value);

const socket = io(`${url}/custom`, { transports: ["websocket"] });
const failures = [];
const checkin = { deskName: "A", seats: 1, kind: "member" };
for (const [event, ...data] of [
  ["checkin", checkin],
  ["checkin", { ...checkin, note: "by the window" }],
  ["checkin", { ...checkin, note: null, further: 1 }],
  ["checkin", { ...checkin, seats: 0 }],
  ["checkin", { ...checkin, seats: 9 }],
  ["checkin", { ...checkin, seats: 256 }],
  ["checkin", { ...checkin, seats: -1 }],
  ["checkin", { ...checkin, seats: 1.5 }],
  ["checkin", { ...checkin, kind: "guest" }],
  ["checkin", { ...checkin, deskName: null }],
  ["checkin", { seats: 1, kind: "member" }],
  ["checkin", "A"],
  ["checkin"],
  ["say", "hello"],
  ["say", "hello", "and more"],
  ["say", 5],
  ["say", null],
  ["say"],
  ["sum", 1, 2],
  ["sum", 1],
  ["sum", 1, null],
  ["sum", 2147483648, 1],
  ["sum", "1"],
  ["sum"],
  ["optional"],
  ["optional", null],
  ["optional", "text"],
  ["optional", 5],
  ["swap", "a", true],
  ["swap", "a"],
  ["array", 1, 2],
  ["array", 1],
  ["all"],
  ["all", "a", "b"],
  ["all", "a", 1],
  ["draw", "Empty"],
  ["draw", { Circle: 1.5 }],
  ["draw", { Line: { from: [1, 2], to: [3, 4] } }],
  ["draw", { Line: { from: [1], to: [3, 4] } }],
  ["draw", { Square: 1 }],
  ["draw", "Full"],
  ["tree", { name: "a", branches: [{ name: "b", branches: [] }] }],
  ["tree", { name: "a", branches: [{ name: "b" }] }],
  ["map", { a: 1 }],
  ["map", { a: "1" }],
  ["message", { type: "text", text: "a" }],
  ["message", { type: "nothing" }],
  ["message", { type: "image", width: 1 }],
  ["message", { type: "sound" }],
  ["sign-up", { name: "Ada", age: 36 }],
  ["sign-up", { name: "A", age: 36 }],
  ["sign-up", { name: "Ada", age: 17 }],
  ["desk", { label: "A" }],
  ["desk", { label: "A", position: [1, 2], tags: ["a"] }],
  ["desk", { label: "A", position: [1] }],
  ["opaque", { value: 1 }, "text"],
  ["opaque", { value: 1 }, 1],
  ["nothing"],
]) {
  const answers = await new Promise((resolve) => socket.emit(event, ...data, (...all) => resolve(all)));
  const error = answers[0]?.error;
  const refused = error?.code === "invalid_payload";
  const told = `${event} ${JSON.stringify(data)}: ${JSON.stringify(answers)}`;
  if (valid(event, "arguments", data) === refused) failures.push(`taken: ${told}`);
  if (!valid(event, error ? "error" : "answer", error ?? answers)) failures.push(`answered: ${told}`);
}

// What the server emits on its own is valid as well.
const emitted = (name) => ajv.getSchema(`contract#/properties/~1rooms~1%7Broom%7D/properties/emits/properties/${name}`);
const room = io(`${url}/rooms/1`, { transports: ["websocket"], forceNew: true, autoConnect: false });
const seen = {};
for (const event of ["presence_state", "presence_diff"]) {
  room.on(event, (...data) => {
    seen[event] = data;
    if (!emitted(event)(data)) failures.push(`emitted: ${event} ${JSON.stringify(data)}`);
  });
}
room.connect();
await room.timeout(5000).emitWithAck("typing", true).catch((error) => failures.push(`typing: ${error.message}`));
const until = Date.now() + 5000;
while (!(seen.presence_state && seen.presence_diff) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
assert.deepEqual(Object.keys(seen).sort(), ["presence_diff", "presence_state"]);
room.disconnect();
assert.deepEqual(failures, []);
socket.disconnect();
