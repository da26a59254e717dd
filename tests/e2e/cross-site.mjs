// Pages in a real Chromium: node cross-site.mjs APPLICATION OTHER
// The victim is logged in at the application. Its own page connects as the victim; a page of another site does not.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { launch } from "./browser.mjs";

const [application, other] = process.argv.slice(2);
const client = readFileSync(new URL("node_modules/socket.io-client/dist/socket.io.min.js", import.meta.url), "utf8");
const browser = await launch();
const context = await browser.newContext();

/** What a page at `from` comes to when it connects to the application. */
async function connects(from, transports) {
  const page = await context.newPage();
  await page.goto(from);
  await page.addScriptTag({ content: client });
  const result = await page.evaluate(
    ([application, transports]) =>
      new Promise((resolve) => {
        const socket = io(`${application}/lab`, { transports, withCredentials: true, reconnection: false, forceNew: true, timeout: 5000 });
        socket.on("connect_error", (error) => resolve({ refused: error.message }));
        socket.on("connect", async () => {
          const user = await socket.timeout(5000).emitWithAck("whoami");
          socket.disconnect();
          resolve({ user });
        });
      }),
    [application, transports],
  );
  await page.close();
  return result;
}

try {
  const page = await context.newPage();
  await page.goto(application);
  const status = await page.evaluate(async () => (await fetch("/login?user=victim", { method: "POST" })).status);
  assert.equal(status, 200);
  await page.close();
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    assert.deepEqual(await connects(application, transports), { user: "victim" }, `the own page over ${transports}`);
    const foreign = await connects(other, transports);
    assert.ok("refused" in foreign, `a foreign page over ${transports}: ${JSON.stringify(foreign)}`);
  }
  console.log("ok");
} finally {
  await browser.close();
}
