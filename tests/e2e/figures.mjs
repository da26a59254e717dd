// Does what is measured: node figures.mjs URL TRANSPORT. It sends three events, answers two pings, and leaves.
import { io } from "socket.io-client";

const [url, transport] = process.argv.slice(2);
const socket = io(`${url}/custom`, { transports: [transport], reconnection: false, timeout: 10_000 });
let pings = 0;
const pinged = new Promise((resolve) => socket.io.on("ping", () => ++pings === 2 && resolve()));
await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
for (const desk of ["a", "b", "c"]) await socket.timeout(5_000).emitWithAck("checkin", { desk });
await pinged;
// What it sends behind its answer to the ping is read behind it.
await socket.timeout(5_000).emitWithAck("checkin", { desk: "d" });
socket.disconnect();
