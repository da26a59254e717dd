// The built pages of the Admin UI in Chromium, and everything that they are sent.
import assert from "node:assert/strict";
import { launch } from "./browser.mjs";

/** Opens the page of a service and calls `use` with what helps to use it; `pictures` is a folder for them, if they are wanted. */
export async function open(url, pictures, use) {
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    page.setDefaultTimeout(15_000);
    // Fonts of other sites, which are not there in a test.
    await page.route((to) => !to.href.startsWith(url), (route) => route.abort());
    const failures = [];
    page.on("pageerror", (error) => failures.push(error.message));
    const sent = [];
    page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => sent.push(payload.toString())));
    page.on("response", async (response) => {
      sent.push(JSON.stringify(await response.allHeaders().catch(() => ({}))));
      // A poll that the page itself has given up has no body.
      if (response.url().includes("/socket.io/")) sent.push(await response.text().catch(() => ""));
    });
    const picture = async (name) => {
      if (!pictures) return;
      // Pages fade in.
      await page.waitForTimeout(1_000);
      await page.screenshot({ path: `${pictures}/${name}.png` });
    };
    const logIn = async (username, password) => {
      await page.getByLabel("Server URL").fill(url);
      await page.getByLabel("Username").fill(username);
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Connect" }).click();
    };
    const go = (to) => page.goto(`${url}/admin-ui/#${to}`);
    // Without its last slash, its scripts would not be found.
    await page.goto(`${url}/admin-ui`);
    assert.equal(page.url().split("#")[0], `${url}/admin-ui/`);
    await use({ page, picture, logIn, go, sent: () => sent.join("\n") });
    assert.deepEqual(failures, []);
  } finally {
    await browser.close();
  }
}

/** Fails if what a page was sent has a cookie or the id of a session in it, in any spelling. `known` proves that it was recorded. */
export function noSecrets(sent, secrets, known) {
  assert.ok(sent.includes(known), "what the page was sent is recorded");
  for (const secret of secrets) {
    assert.ok(secret.length >= 16, secret);
    for (const spelling of [secret, encodeURIComponent(secret), decodeURIComponent(secret), secret.slice(0, 16)]) {
      assert.ok(!sent.includes(spelling), `the page was sent ${spelling}`);
    }
  }
  assert.ok(!/session\.(?!\*\*\*)/.test(sent), "no name of a session's room");
}
