// The official client at the login example: node login.mjs URL
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { next } from "./next.mjs";

const [url] = process.argv.slice(2);

async function login(name, before) {
  const body = new URLSearchParams({ name });
  const headers = before ? { cookie: before } : {};
  const response = await fetch(`${url}/login`, { method: "POST", body, headers, redirect: "manual" });
  assert.equal(response.status, 303);
  const cookie = response.headers.get("set-cookie");
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Lax/);
  return cookie.split(";")[0];
}

const open = [];
function tab(cookie, transports) {
  const socket = io(`${url}/account`, { transports, forceNew: true, extraHeaders: cookie ? { cookie } : {} });
  open.push(socket);
  return socket;
}

const ada = await login("Ada");
const bob = await login("Bob");
const tabs = [tab(ada, ["websocket"]), tab(ada, ["polling"]), tab(bob, ["polling", "websocket"])];
await Promise.all(tabs.map((socket) => next(socket, "connect")));
const names = await Promise.all(tabs.map((socket) => socket.timeout(5_000).emitWithAck("whoami")));
assert.deepEqual(names, ["Ada", "Ada", "Bob"]);

const stranger = tab(undefined, ["websocket"]);
assert.equal((await next(stranger, "connect_error"))[0].message, "unauthenticated");

const page = await (await fetch(url, { headers: { cookie: ada } })).text();
assert.match(page, /Hello, Ada/);

// The page needs no other server: its client is served here.
const script = /<script src="(.*?)">/.exec(page)[1];
const bundle = await fetch(url + script);
assert.match(bundle.headers.get("content-type"), /^text\/javascript/);
assert.match(await bundle.text(), /Socket\.IO v4/);
const kept = await fetch(url + script, { headers: { "if-none-match": bundle.headers.get("etag") } });
assert.equal(kept.status, 304);

// A notice reaches all tabs of its user, and nobody else.
const heard = [];
tabs[2].on("notice", (text) => heard.push(text));
const notices = tabs.slice(0, 2).map((socket) => next(socket, "notice"));
assert.equal((await fetch(`${url}/notify?text=ready`, { method: "POST", headers: { cookie: ada } })).status, 200);
assert.deepEqual(await Promise.all(notices), [["ready"], ["ready"]]);

// Logging in anew renews the session. Every tab with the old cookie is cut and comes back by itself, as whoever its cookie
// says then.
const cut = next(tabs[2], "disconnect");
const back = next(tabs[2], "connect");
tabs[2].io.opts.extraHeaders.cookie = await login("Eve", bob);
assert.notEqual((await cut)[0], "io server disconnect");
await back;
assert.equal(await tabs[2].timeout(5_000).emitWithAck("whoami"), "Eve");

// Logging out empties the private channel of that user's tabs, at once, and of nobody else's.
const gone = tabs.slice(0, 2).map((socket) => next(socket, "disconnect"));
await fetch(`${url}/logout`, { method: "POST", headers: { cookie: ada }, redirect: "manual" });
assert.deepEqual((await Promise.all(gone)).map(([reason]) => reason), ["io server disconnect", "io server disconnect"]);
assert.equal(await tabs[2].timeout(5_000).emitWithAck("whoami"), "Eve");
assert.deepEqual(heard, []);
const late = tab(ada, ["websocket"]);
assert.equal((await next(late, "connect_error"))[0].message, "unauthenticated", "the old cookie is worth nothing");

for (const socket of open) socket.disconnect();
console.log("ok");
