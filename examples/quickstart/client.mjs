// Talks to the quickstart with the official client: npm install && node client.mjs [url]
import { io } from "socket.io-client";

const url = process.argv[2] ?? "http://127.0.0.1:3000";
const socket = io(`${url}/custom`, { timeout: 5000, reconnection: false });

socket.on("connect_error", (error) => {
  console.error(`cannot connect to ${url}: ${error.message}`);
  process.exitCode = 1;
  socket.close();
});

socket.on("connect", async () => {
  console.log("connected as", socket.id);
  const welcome = await socket.timeout(5000).emitWithAck("checkin", { desk: "A" });
  console.log("acknowledged:", welcome);
  socket.close();
});
