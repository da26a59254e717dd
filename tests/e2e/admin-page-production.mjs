// The Admin UI in production mode, in Chromium: node admin-page-production.mjs URL COOKIE SESSIONS USER PASSWORD [FOLDER]
// SESSIONS are the ids of all sessions, with commas. With a folder, it leaves a picture there.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { noSecrets, open } from "./admin-browser.mjs";

const [url, cookie, sessions, username, password, pictures] = process.argv.slice(2);

const client = io(`${url}/open`, { reconnection: false, extraHeaders: { cookie } });
await new Promise((resolve, reject) => client.once("connect", resolve).once("connect_error", reject));
await open(url, pictures, async ({ page, picture, logIn, go, sent }) => {
  await logIn(username, password);
  await page.getByRole("button", { name: "Connect" }).waitFor({ state: "hidden" });
  // The sums, and the nodes: no page of clients.
  const channel = page.getByRole("row").filter({ hasText: "/open" });
  await channel.filter({ hasText: "1" }).waitFor();
  await picture("production");
  assert.deepEqual((await page.getByRole("navigation").locator("a").allInnerTexts()).map((text) => text.trim()), ["Dashboard", "Servers"]);
  await go("/servers/");
  await page.getByRole("row").filter({ hasText: "Healthy" }).waitFor();
  await client.timeout(5_000).emitWithAck("join", "sports");
  // What is shown of it comes within two seconds.
  const stats = () => sent().split("server_stats").length;
  for (const before = stats(); stats() < before + 2; ) await page.waitForTimeout(100);
  assert.ok(!sent().includes(client.id) && !sent().includes("sports"), "nothing of single clients");
  noSecrets(sent(), [cookie.split("=")[1], ...sessions.split(",")], "server_stats");
});
client.disconnect();
