// The front-end package in a real Chromium: node front-end.mjs APPLICATION
// A log-in by a plain `fetch` reaches sockets that were opened before there was a session. A page whose origin is refused is told so,
// at another origin and behind a development proxy that changes the host.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";

const [application] = process.argv.slice(2);
const frontend = fileURLToPath(new URL("../../carolina-sockets/frontend", import.meta.url));
assert.ok(existsSync(`${frontend}/node_modules`), "run `npm ci` in carolina-sockets/frontend first, or `make test`, which does");
execFileSync("npm", ["run", "build"], { cwd: frontend, stdio: ["ignore", "ignore", "inherit"] });

const HTML = `<!doctype html><title>front end</title>
<script type="importmap">{ "imports": { "socket.io-client": "/-/socket.io-client.js", "carolina-sockets": "/-/index.js" } }</script>`;

/** A file of the page, by its path: the package as it is built, and the official client. */
function file(path) {
  if (path === "/") return { contentType: "text/html", body: HTML };
  const name = /^\/-\/([\w.-]+\.js)$/.exec(path)?.[1];
  if (!name) return undefined;
  const from = name === "socket.io-client.js" ? `${frontend}/node_modules/socket.io-client/dist/socket.io.esm.min.js` : `${frontend}/dist/${name}`;
  return { contentType: "text/javascript", body: readFileSync(from) };
}

/** A development server, as Vite's or webpack's: the page is its own, the rest the application's. */
async function development(changeOrigin) {
  const target = new URL(application);
  const headers = (incoming) => ({ ...incoming.headers, host: changeOrigin ? target.host : incoming.headers.host });
  const server = createServer((incoming, response) => {
    const own = file(new URL(incoming.url, application).pathname);
    if (own) return response.writeHead(200, { "content-type": own.contentType }).end(own.body);
    const passed = request(new URL(incoming.url, application), { method: incoming.method, headers: headers(incoming) }, (answer) => {
      answer.pipe(response.writeHead(answer.statusCode, answer.headers));
    });
    incoming.pipe(passed.on("error", () => response.destroy()));
  });
  server.on("upgrade", (incoming, near) => {
    const far = connect(Number(target.port), target.hostname);
    far.write(`GET ${incoming.url} HTTP/1.1\r\n${Object.entries(headers(incoming)).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    near.pipe(far).pipe(near);
    for (const end of [near, far]) end.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

const browser = await launch();

/** A page of a browser that has been nowhere, at the application or at another origin. */
async function open(url, init) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(error));
  if (url === application) await page.route(`${application}/**`, (route) => {
    const own = file(new URL(route.request().url()).pathname);
    return own && route.request().method() === "GET" ? route.fulfill(own) : route.fallback();
  });
  if (init) await page.addInitScript(init);
  await page.goto(url);
  return page;
}

/** Runs in the page: logs in and out by `fetch`, and records what becomes of the channels. */
async function logsIn(how) {
  const { WebSocketsSvc } = await import("carolina-sockets");
  const until = (what, found) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not happen`)), 5000);
      found((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  const members = WebSocketsSvc.channel("/members");
  let connects = 0;
  WebSocketsSvc.onJoin("/lab", () => void (connects += 1));
  const refused = await until("a refusal", (found) => members.onRefused(found));
  const before = await WebSocketsSvc.request("/lab", "whoami");

  // Whoever asks at once gets the user who has logged in.
  const joined = until("the private channel", (found) => members.onJoin(() => found()));
  await fetch("/login?user=ada", { method: "POST" });
  const at_once = how === "asks" ? await WebSocketsSvc.request("/lab", "whoami") : undefined;
  await joined;
  const after = await WebSocketsSvc.request("/lab", "whoami");
  const first = connects;

  // A log-out empties the private channel and leaves the public one connected; the next log-in opens it again.
  const closed = until("the end of the private channel", (found) => members.onClosed((error, comesBack) => found([error.code, comesBack])));
  await fetch("/logout", { method: "POST" });
  const told = await closed;
  const out = await WebSocketsSvc.request("/lab", "whoami");
  const between = connects;
  const again = until("the private channel again", (found) => members.socket.once("connect", found));
  await fetch("/login?user=grace", { method: "POST" });
  await again;
  const last = await WebSocketsSvc.request("/lab", "whoami");
  return { refused: refused.code, before, at_once, after, first, told, out, between, last, connects };
}

/** Runs in the page: what a channel's request and handler get. */
async function refusal(url) {
  const { WebSocketsSvc } = await import("carolina-sockets");
  if (url) WebSocketsSvc.configure({ url });
  const refused = new Promise((resolve) => WebSocketsSvc.onRefused("/lab", (error) => resolve([error.code, error.message])));
  const answer = await WebSocketsSvc.request("/lab", "echo", 1).catch((error) => [error.code, error.message]);
  return { answer, refused: Array.isArray(answer) ? await refused : undefined };
}

try {
  const without = () => {
    delete globalThis.cookieStore;
    delete Object.getPrototypeOf(globalThis).cookieStore;
  };
  for (const [how, init] of [["asks"], ["waits"], ["waits", without]]) {
    const page = await open(application, init);
    assert.equal(await page.evaluate(() => "cookieStore" in globalThis), !init);
    const seen = await page.evaluate(logsIn, how);
    assert.deepEqual(seen, {
      refused: "unauthenticated",
      before: null,
      at_once: how === "asks" ? "ada" : undefined,
      after: "ada",
      first: 2,
      told: ["unauthenticated", false],
      out: null,
      between: 2,
      last: "grace",
      connects: 3,
    });
    await page.context().close();
  }

  // At another origin the response has to be readable; the page is told which origin to add to which key.
  const other = application.replace("127.0.0.1", "localhost");
  const [kept, changed] = [await development(false), await development(true)];
  for (const [url, target, origin] of [[changed.url, undefined, changed.url], [changed.url, application, changed.url], [kept.url, other, kept.url]]) {
    const page = await open(url);
    const { answer, refused } = await page.evaluate(refusal, target);
    for (const [code, message] of [answer, refused]) {
      assert.equal(code, "page_refused", message);
      assert.ok(message.includes(`origins = ["${origin}"]`), message);
    }
    await page.context().close();
  }
  const page = await open(kept.url);
  assert.deepEqual(await page.evaluate(refusal), { answer: 1, refused: undefined });
  await page.context().close();
  for (const { server } of [kept, changed]) server.close();
  console.log("ok");
} finally {
  await browser.close();
}
process.exit(0);
