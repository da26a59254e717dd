// A page in TypeScript of a generated application, in a real Chromium: node typed-page.mjs URL
// It asks once and is answered, and asks for what is refused with a code that its types know.
import assert from "node:assert/strict";
import { launch, problemsOf } from "./browser.mjs";

const [url] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await browser.newPage();
  const problems = problemsOf(page);
  await page.goto(`${url}/typed.html`);
  await page.waitForFunction(() => document.body.dataset.code, undefined, { timeout: 15_000 }).catch((error) => problems.push(error.message));
  assert.deepEqual(problems, []);
  assert.deepEqual(await page.evaluate(() => ({ ...document.body.dataset })), { said: "hello", code: "nothing_said" });
} finally {
  await browser.close();
}
