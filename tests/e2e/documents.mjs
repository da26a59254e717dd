// The documents of any application, by their official readers, and against the application itself: node documents.mjs SCHEMA ASYNCAPI URL
// Each event is sent with payloads that are made from its schema, and with others that differ a little. What the server refuses as `invalid_payload` must be
// invalid by the schema, what it takes valid, and each answer as well. Prints how many events were sent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { io } from "socket.io-client";

const [schemaFile, asyncapiFile, url] = process.argv.slice(2);

const { document, diagnostics } = await new Parser().parse(readFileSync(asyncapiFile, "utf8"));
assert.deepEqual(diagnostics.filter(({ severity }) => severity < 2).map(({ message, path }) => `${path.join(".")}: ${message}`), []);

const contract = JSON.parse(readFileSync(schemaFile, "utf8"));
const ajv = new Ajv2020({ strictTuples: false });
addFormats.default(ajv);
ajv.addSchema(contract, "contract");
const step = (name) => encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"));
const validator = (...steps) => {
  const found = ajv.getSchema(`contract#/${steps.map(step).join("/")}`);
  assert.ok(found, steps.join(" "));
  return found;
};
assert.deepEqual(document.channels().all().map((channel) => channel.address()).sort(), Object.keys(contract.properties).sort());
// Each schema of the document compiles.
for (const [path, { properties: { takes, emits } }] of Object.entries(contract.properties)) {
  for (const event of Object.keys(takes.properties)) {
    for (const what of ["arguments", "answer", "error"]) validator("properties", path, "properties", "takes", "properties", event, "properties", what);
  }
  for (const event of Object.keys(emits.properties)) validator("properties", path, "properties", "emits", "properties", event);
}
if (!url) process.exit(0);

/** A value that is valid by a schema. */
function example(schema) {
  if (typeof schema === "boolean") return "anything";
  if (schema.$ref) return example(contract.$defs[schema.$ref.slice("#/$defs/".length)]);
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.map(example)[0];
  switch ([schema.type].flat()[0]) {
    case "string": return { uuid: "00000000-0000-0000-0000-000000000000" }[schema.format] ?? "a".repeat(schema.minLength ?? 1);
    case "integer": case "number": return schema.minimum > 0 ? schema.minimum : 1;
    case "boolean": return true;
    case "array": return [...(schema.prefixItems ?? []).map(example), ...Array(schema.prefixItems ? 0 : schema.minItems ?? 1).fill(schema.items ?? true).map(example)];
    case "object": return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, property]) => [name, example(property)]));
    default: return null;
  }
}

/** Lists of arguments, valid ones and others. */
function* payloads(schema) {
  const valid = schema.prefixItems ? schema.prefixItems.map(example) : [];
  yield valid;
  yield [];
  yield [...valid, "and more"];
  // No arrays: serde reads one as the fields of a struct in their order, too.
  const others = [null, true, -1, 1.5, 256, "", "text", {}, { text: "a" }];
  for (const other of others) yield [other];
  for (const [at, argument] of valid.entries()) {
    const instead = (value) => valid.map((one, number) => (number === at ? value : one));
    for (const other of others) yield instead(other);
    if (argument === null || typeof argument !== "object" || Array.isArray(argument)) continue;
    for (const name of Object.keys(argument)) {
      const { [name]: _, ...rest } = argument;
      yield instead(rest);
      for (const other of others) yield instead({ ...argument, [name]: other });
    }
    yield instead({ ...argument, further: 1 });
  }
}

const logged = await fetch(`${url}/login`, { method: "POST", redirect: "manual", body: new URLSearchParams({ name: "ada" }) });
const cookie = logged.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
const failures = [];
let sent = 0;
for (const [path, channel] of Object.entries(contract.properties)) {
  const { takes, parameters } = channel.properties;
  const at = path.replace(/\{(.*?)\}/g, (_, name) => (parameters.properties[name].type === "number" ? 1 : "lobby"));
  const socket = io(url + at, { transports: ["websocket"], forceNew: true, reconnection: false, extraHeaders: cookie ? { cookie } : {} });
  const joined = await new Promise((resolve) => {
    socket.on("connect", () => resolve(true));
    socket.on("connect_error", () => resolve(false));
  });
  // A private channel of an application without a log-in.
  if (!joined) continue;
  for (const [event, { properties }] of Object.entries(takes.properties)) {
    const steps = ["properties", path, "properties", "takes", "properties", event, "properties"];
    // Binary data has no form in JSON.
    if (JSON.stringify([properties.arguments, contract.$defs]).includes("contentEncoding")) continue;
    // Of an argument without a schema, it is not known what is refused.
    const isUnknown = (properties.arguments.prefixItems ?? []).includes(true);
    for (const data of payloads(properties.arguments)) {
      const answers = await new Promise((resolve, reject) => {
        socket.emit(event, ...data, (...all) => resolve(all));
        socket.once("disconnect", (reason) => reject(new Error(`${path} ${event} ${JSON.stringify(data)}: ${reason}`)));
      });
      socket.off("disconnect");
      const error = answers[0]?.error;
      const told = `${path} ${event} ${JSON.stringify(data)}: ${JSON.stringify(answers)}`;
      if (["rate_limited", "unauthenticated", "forbidden"].includes(error?.code)) continue;
      sent += 1;
      const isRefused = error?.code === "invalid_payload";
      if (validator(...steps, "arguments")(data) === isRefused && !(isRefused && isUnknown)) failures.push(`taken: ${told}`);
      if (!validator(...steps, error ? "error" : "answer")(error ?? answers)) failures.push(`answered: ${told}`);
    }
  }
  socket.disconnect();
}
assert.deepEqual(failures, []);
console.log(sent);
process.exit(0);
