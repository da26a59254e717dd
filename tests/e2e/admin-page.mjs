// The built pages of the Admin UI in Chromium, as a service serves them: node admin-page.mjs URL USER PASSWORD [FOLDER]
// With a folder, it leaves a picture of each page there.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { launch } from "./browser.mjs";
import { next } from "./next.mjs";

const [url, username, password, pictures] = process.argv.slice(2);

const client = io(`${url}/open`, { reconnection: false });
await new Promise((resolve, reject) => client.once("connect", resolve).once("connect_error", reject));
await client.timeout(5_000).emitWithAck("join", "sports");

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(15_000);
  // Fonts of other sites, which are not there in a test.
  await page.route((to) => !to.href.startsWith(url), (route) => route.abort());
  const failures = [];
  page.on("pageerror", (error) => failures.push(error.message));
  const picture = async (name) => {
    if (!pictures) return;
    // Pages fade in.
    await page.waitForTimeout(1_000);
    await page.screenshot({ path: `${pictures}/${name}.png` });
  };

  // Without its last slash, its scripts would not be found.
  await page.goto(`${url}/admin-ui`);
  assert.equal(page.url().split("#")[0], `${url}/admin-ui/`);
  const logIn = async (as) => {
    await page.getByLabel("Server URL").fill(url);
    await page.getByLabel("Username").fill(username);
    await page.getByLabel("Password").fill(as);
    await page.getByRole("button", { name: "Connect" }).click();
  };
  await logIn("wrong");
  await page.getByText("Invalid credentials").waitFor();
  await picture("refused");
  await logIn(password);
  await page.getByRole("button", { name: "Connect" }).waitFor({ state: "hidden" });

  const go = async (to) => {
    await page.goto(`${url}/admin-ui/#${to}`);
    await picture(to.replaceAll("/", "") || "dashboard");
  };
  await go("/");
  await page.getByText("Servers").first().waitFor();
  await go("/sockets/");
  const row = page.getByRole("row").filter({ hasText: client.id });
  // It shows one channel at a time.
  await page.locator(".selector").click();
  await page.getByRole("option", { name: "/open" }).click();
  await row.waitFor();
  await picture("sockets");
  await go("/rooms/");
  await page.getByText("sports").first().waitFor();
  for (const to of ["/clients/", "/events/", "/servers/"]) await go(to);
  await page.getByText("healthy", { exact: false }).first().waitFor();

  // It comes again by its session, without the password, and disconnects the client by its button.
  await page.goto(`${url}/admin-ui/#/sockets/`);
  await page.reload();
  await page.locator(".selector").click();
  await page.getByRole("option", { name: "/open" }).click();
  await row.waitFor();
  const left = next(client, "disconnect");
  await row.getByRole("button").last().click();
  assert.equal((await left)[0], "io server disconnect");
  // The click has opened the details of the socket, too.
  await page.goto(`${url}/admin-ui/#/sockets/`);
  await page.locator(".selector").waitFor();
  await row.waitFor({ state: "detached" });
  assert.deepEqual(failures, []);
} finally {
  await browser.close();
  client.disconnect();
}
