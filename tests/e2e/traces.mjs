// The front-end package as a page with traces uses it: node traces.mjs URL CONNECT EVENT
// It connects in the span CONNECT, sends two events in EVENT and one without a span, and prints their answers.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [url, connecting, sending] = process.argv.slice(2);
const frontend = fileURLToPath(new URL("../../carolina-sockets/frontend", import.meta.url));
execFileSync("npm", ["run", "build"], { cwd: frontend, stdio: ["ignore", "ignore", "inherit"] });
const { WebSocketsService } = await import(`${frontend}/dist/index.js`);

let span = connecting;
const service = new WebSocketsService({ url, traceparent: () => span });
const channel = service.channel("/custom");
await new Promise((resolve) => channel.onJoin(resolve));
span = sending;
const answers = [await channel.request("checkin", { desk: "a" }), await channel.socket.timeout(5_000).emitWithAck("checkin", { desk: "b" })];
span = "not a traceparent";
answers.push(await channel.request("checkin", { desk: "c" }));
console.log(JSON.stringify(answers));
service.disconnect();
