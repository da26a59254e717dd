// The page of a contract, in a real Chromium that reaches nothing but its server: node contract-page.mjs URL
import assert from "node:assert/strict";
import { launch, problemsOf } from "./browser.mjs";

const [url] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await browser.newPage();
  const problems = problemsOf(page);
  const elsewhere = [];
  await page.route("**", (route) => {
    const to = new URL(route.request().url());
    if (to.origin === url || to.protocol === "data:") return route.continue();
    elsewhere.push(to.href);
    return route.abort();
  });
  await page.goto(`${url}/contract`);

  const custom = page.locator('section[data-channel="/custom"]');
  assert.match(await custom.innerText(), /For the desk/);
  assert.ok(await page.locator('section[data-channel="/open"] .badge').isVisible(), "a private channel is told");
  const checkin = custom.locator('details[data-event="checkin"]');
  await checkin.locator("summary").click();
  assert.match(await checkin.innerText(), /Takes a seat at a desk/);
  assert.match(await checkin.innerText(), /deskName: string/);
  assert.match(await checkin.innerText(), /no_desk/);
  await checkin.locator("textarea").fill('[{ "deskName": "A", "seats": 1, "kind": "member" }]');
  await checkin.getByRole("button", { name: "Send" }).click();
  await page.waitForFunction(() => /"number": 1/.test(document.querySelector('[data-event="checkin"] .answer').textContent));
  await checkin.locator("textarea").fill("[{}]");
  await checkin.getByRole("button", { name: "Send" }).click();
  await page.waitForFunction(() => /invalid_payload/.test(document.querySelector('[data-event="checkin"] .answer').textContent));

  // What the channel emits arrives: another client checks in.
  const other = await browser.newPage();
  await other.goto(`${url}/contract`);
  const theirs = other.locator('section[data-channel="/custom"] details[data-event="checkin"]');
  await theirs.locator("summary").click();
  await theirs.locator("textarea").fill('[{ "deskName": "<b>B</b>", "seats": 1, "kind": "member" }]');
  await theirs.getByRole("button", { name: "Send" }).click();
  await page.waitForFunction(() => document.querySelector('section[data-channel="/custom"] .log').textContent.includes('checked-in ["<b>B</b>"]'));
  assert.deepEqual(problems, []);
  assert.deepEqual(elsewhere, []);
} finally {
  await browser.close();
}
