// Prints the events of a channel, one per line as JSON: node listener.mjs URL CHANNEL [PATH]. "joined" is the first line. It ends with
// its connection.
import { io } from "socket.io-client";

const [url, channel, path = "/socket.io"] = process.argv.slice(2);
const socket = io(url + channel, { path, transports: ["websocket"], reconnection: false, timeout: 10_000 });
socket.on("connect_error", (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on("connect", () => console.log("joined"));
socket.onAny((...event) => console.log(JSON.stringify(event)));
