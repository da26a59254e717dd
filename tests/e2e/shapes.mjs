// Prints the arguments that a listener and an acknowledgement get, one line of JSON for each shape: node shapes.mjs URL
import { io } from "socket.io-client";

const shown = (values) =>
  JSON.stringify(values.map((value) => (Buffer.isBuffer(value) ? { bytes: [...value] } : value)));

const socket = io(`${process.argv[2]}/shapes`, { transports: ["websocket"], reconnection: false, forceNew: true });
const names = await socket.timeout(5_000).emitWithAck("names");
for (const name of names) {
  const emitted = new Promise((resolve) => socket.once(`is-${name}`, (...all) => resolve(all)));
  const answered = await new Promise((resolve) => socket.emit(name, (...all) => resolve(all)));
  console.log(`${name} ${shown(await emitted)} ${shown(answered)}`);
}
socket.disconnect();
