// The chat in a real Chromium: two users in browser contexts of their own, against the program as it is built.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const program = `${process.env.CARGO_TARGET_DIR ?? here("../../../target")}/debug/chat`;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const pictures = here("screenshots");
const data = mkdtempSync(join(tmpdir(), "chat-"));
const streams = new Set();
let browser, door, server, port, url;

// Where the browsers go: open all along, so that the chat is at the same address after a restart.
async function openDoor() {
  door = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    streams.add(near);
    near.on("close", () => streams.delete(near));
    for (const [one, other] of [[near, far], [far, near]]) {
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  url = `http://127.0.0.1:${door.address().port}`;
}

async function startServer() {
  server = spawn(program, [], {
    cwd: here(".."),
    env: {
      ...process.env,
      CAROLINA_BIND: "127.0.0.1:0",
      CAROLINA_SESSION__STORE: `sqlite://${data}/chat.db`,
      RUST_LOG: "error",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(server.stdout)) {
    port = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1];
    if (port) return;
  }
  throw new Error("the chat did not start");
}

async function stopServer() {
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  const [code] = await ended;
  assert.equal(code, 0);
}

before(async () => {
  assert.ok(existsSync(program), `${program} is missing: cargo build --workspace --all-features`);
  assert.ok(existsSync(here("../web/dist/index.html")), "the page is not built: npm run build in examples/chat/web");
  assert.ok(existsSync(executablePath), `${executablePath} is missing: apt-get install chromium`);
  mkdirSync(pictures, { recursive: true });
  await openDoor();
  await startServer();
  browser = await chromium.launch({
    executablePath,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  if (server?.exitCode === null) await stopServer();
  door?.close();
  rmSync(data, { recursive: true, force: true });
});

/** A browser of its own, logged in. */
async function enter(name, viewport = { width: 1280, height: 800 }) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Come in" }).click();
  await connected(page);
  return { context, page };
}

const connected = (page) => page.locator("#state[data-state=connected]").waitFor();

async function say(page, text) {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("log").getByText(text, { exact: true }).waitFor();
}

const heard = (page, text) => page.getByRole("log").getByText(text, { exact: true }).waitFor();
const inRoom = (page, names, timeout = 30_000) =>
  page.locator("#here").filter({ hasText: new RegExp(`^${names}$`) }).waitFor({ timeout });
const open = (page, name) => page.getByRole("navigation").getByRole("button", { name, exact: false }).first().click();

test("two users see each other, talk in rooms, and a direct message reaches only its user, in both tabs", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob");
  const eve = await enter("Eve");
  const second = await ada.context.newPage();
  await second.goto(url);
  await connected(second);
  // Each once, however many tabs.
  for (const { page } of [ada, bob, eve]) {
    await page.locator("#count").filter({ hasText: /^3$/ }).waitFor();
    assert.deepEqual((await page.locator("#people li > button:first-child").allTextContents()).map((name) => name.replace(" (you)", "")), ["Ada", "Bob", "Eve"]);
  }

  await say(ada.page, "hello from Ada");
  for (const page of [bob.page, eve.page, second]) await heard(page, "hello from Ada");
  await bob.page.getByLabel("Message").pressSequentially("typing");
  await ada.page.getByText("Bob is typing…").waitFor();
  await bob.page.getByLabel("Message").fill("");

  // Another room is another talk; what was said there is there for who comes later.
  await inRoom(ada.page, "Ada, Bob, Eve");
  await open(eve.page, "# rust");
  await inRoom(eve.page, "Eve");
  await inRoom(ada.page, "Ada, Bob");
  await say(eve.page, "only in rust");
  await open(bob.page, "# rust");
  await heard(bob.page, "only in rust");
  assert.equal(await ada.page.getByText("only in rust").count(), 0);
  await say(bob.page, "answered in rust");
  await heard(eve.page, "answered in rust");

  await open(bob.page, "Ada");
  await say(bob.page, "for Ada alone");
  for (const page of [ada.page, second]) {
    await page.getByRole("button", { name: "Bob (new)" }).waitFor();
    await open(page, "Bob");
    await heard(page, "for Ada alone");
  }
  assert.equal(await eve.page.getByRole("button", { name: "Bob (new)" }).count(), 0);
  await ada.page.screenshot({ path: join(pictures, "chat-1280.png") });

  // A tab less is not a user less.
  await second.close();
  await say(ada.page, "still here");
  assert.equal(await bob.page.locator("#count").textContent(), "3");
  await eve.context.close();
  await bob.page.locator("#count").filter({ hasText: /^2$/ }).waitFor();
  await ada.context.close();
  await bob.context.close();
});

test("two tabs, reloads and a lost connection: nobody flickers", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob");
  await inRoom(bob.page, "Ada, Bob");
  // Everything that Bob's page shows from now on: who is online, and who is in the room.
  await bob.page.evaluate(() => {
    const text = (selector) => document.querySelector(selector).textContent;
    window.shown = [];
    const look = () => window.shown.push(`${text("#people")} | ${text("#here")}`);
    new MutationObserver(look).observe(document.querySelector(".chat"), { subtree: true, childList: true, characterData: true });
    look();
  });
  for (let times = 0; times < 3; times += 1) {
    await ada.page.reload();
    await connected(ada.page);
    await say(ada.page, `reloaded ${times}`);
    await heard(bob.page, `reloaded ${times}`);
  }
  const second = await ada.context.newPage();
  await second.goto(url);
  await connected(second);
  await say(second, "from a second tab");
  // A client whose connection is lost amid its upgrade to WebSocket notices it by pings alone.
  const upgraded = new Promise((resolve) => {
    ada.page.once("websocket", (socket) => socket.on("framesent", ({ payload }) => payload === "5" && resolve()));
  });
  await Promise.all([ada.page.reload(), second.reload()]);
  await Promise.all([connected(ada.page), connected(second), upgraded]);
  await second.close();
  streams.forEach((stream) => stream.destroy());
  await bob.page.locator("#state:not([data-state=connected])").waitFor();
  await Promise.all([connected(ada.page), connected(bob.page)]);
  await say(ada.page, "here all the time");
  await heard(bob.page, "here all the time");
  // Longer than a client that has lost its connection is waited for.
  await new Promise((resolve) => setTimeout(resolve, 4000));
  for (const shown of await bob.page.evaluate(() => window.shown)) assert.equal(shown, "AdaBob (you) | Ada, Bob");
  await ada.context.close();
  // The end of a tab that was closed before its upgrade to WebSocket is noticed by pings alone, within 45 seconds.
  await inRoom(bob.page, "Bob", 60_000);
  await bob.page.locator("#count").filter({ hasText: /^1$/ }).waitFor();
  await bob.context.close();
});

test("a moderator removes a user, who is gone at once and stays out until readmitted", async () => {
  const admin = await enter("admin");
  const mallory = await enter("Mallory");
  await admin.page.getByRole("button", { name: "Remove Mallory" }).click();
  await mallory.page.locator("#state[data-state=ended]").waitFor();
  await mallory.page.getByText("a moderator has removed you").waitFor();
  await admin.page.locator("#people").getByRole("button", { name: "Mallory", exact: true }).waitFor({ state: "detached" });
  await mallory.page.reload();
  await mallory.page.getByText("a moderator has removed you").waitFor();
  await mallory.page.screenshot({ path: join(pictures, "removed-1280.png") });
  assert.equal(await mallory.page.getByRole("button", { name: /^Remove/ }).count(), 0);
  await admin.page.getByRole("button", { name: "Readmit Mallory" }).click();
  await admin.page.locator("#removed").waitFor({ state: "hidden" });
  await mallory.page.reload();
  await connected(mallory.page);
  await admin.context.close();
  await mallory.context.close();
});

test("a restart of the server costs nobody their identity", async () => {
  const ada = await enter("Ada");
  const bob = await enter("Bob");
  await stopServer();
  await ada.page.locator("#state:not([data-state=connected])").waitFor();
  await ada.page.screenshot({ path: join(pictures, "away-1280.png") });
  await startServer();
  await connected(ada.page);
  await connected(bob.page);
  await say(ada.page, "back again");
  await heard(bob.page, "back again");
  assert.equal(await bob.page.getByRole("log").locator("li strong").last().textContent(), "Ada");
  await ada.context.close();
  await bob.context.close();
});

test("logging out in one tab ends the chat in the other", async () => {
  const ada = await enter("Ada");
  const other = await ada.context.newPage();
  await other.goto(url);
  await connected(other);
  await ada.page.getByRole("button", { name: "Log out" }).click();
  await ada.page.getByLabel("Your name").waitFor();
  await other.getByText("You have been logged out.").waitFor();
  await ada.context.close();
});

test("what is written while a message is under way stays, and a refused message comes back", async () => {
  const { context, page } = await enter("Hedy");
  // In one go, so that no answer comes between.
  const sendAndWrite = (sent, next) =>
    page.getByLabel("Message").evaluate(
      (input, [sent, next]) => {
        input.value = sent;
        input.form.requestSubmit();
        if (next) input.value = next;
      },
      [sent, next],
    );
  const long = "long".repeat(501);
  await sendAndWrite(long);
  await page.getByRole("alert").getByText("at most 2000 characters").waitFor();
  assert.equal(await page.getByLabel("Message").inputValue(), long, "to be made shorter");
  await sendAndWrite("the first of two", "the second of two");
  // The answer has come.
  await page.getByRole("alert").waitFor({ state: "hidden" });
  assert.equal(await page.getByLabel("Message").inputValue(), "the second of two");
  await page.getByRole("button", { name: "Send" }).click();
  for (const text of ["the first of two", "the second of two"]) await heard(page, text);
  await context.close();
});

test("on a phone it is as good, and the keyboard is enough", async () => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByText(/people are chatting|person is chatting/).waitFor();
  await page.screenshot({ path: join(pictures, "login-390.png") });
  await page.keyboard.type("Grace");
  await page.keyboard.press("Enter");
  await connected(page);
  await say(page, "from a phone");
  await say(page, "a message that is long enough to need more than one line on a narrow screen, and even a third one");
  await page.screenshot({ path: join(pictures, "chat-390.png") });
  await page.getByText("Rooms and people").click();
  await page.screenshot({ path: join(pictures, "places-390.png") });
  await open(page, "# random");
  await page.getByRole("heading", { name: "# random" }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing is wider than the screen");
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("button, input")].filter((element) => !(element.labels?.length || element.textContent.trim())).length,
  );
  assert.equal(unnamed, 0, "every control has a name");
  await context.close();
});
