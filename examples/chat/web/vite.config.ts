import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  resolve: {
    // The package of this repository; an application of its own writes `npm install carolina-sockets`.
    alias: { "carolina-sockets": fileURLToPath(new URL("../../../carolina-sockets/frontend/src/index.ts", import.meta.url)) },
    dedupe: ["socket.io-client"],
  },
  // `npm run dev` beside a running chat: the page is Vite's, everything else the chat's.
  server: {
    proxy: {
      "/socket.io": { target: "http://127.0.0.1:3000", ws: true },
      "/me": "http://127.0.0.1:3000",
      "/login": "http://127.0.0.1:3000",
      "/logout": "http://127.0.0.1:3000",
    },
  },
});
