// Every page and every button of the Admin UI, on two nodes in development mode:
// node admin-page.mjs URL URL PID COOKIE SESSIONS USER PASSWORD [FOLDER]
// The page is on the first node; PID is the process of the second one, which is killed. SESSIONS are the ids of all sessions, with commas.
// With a folder, it leaves a picture of each page there.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { noSecrets, open } from "./admin-browser.mjs";

const [one, two, pid, cookie, sessions, username, password, pictures] = process.argv.slice(2);

/** A client of a node, in these rooms. */
async function connect(url, ...rooms) {
  const socket = io(`${url}/open`, { reconnection: false, forceNew: true, extraHeaders: { cookie } });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("connect_error", reject));
  const client = { socket, id: socket.id, left: undefined };
  socket.once("disconnect", (reason) => (client.left = reason));
  client.rooms = () => socket.timeout(5_000).emitWithAck("join", "asked");
  // The tables of the page do not move any more when it is asked.
  for (const room of ["asked", ...rooms]) await socket.timeout(5_000).emitWithAck("join", room);
  return client;
}
async function until(what, holds) {
  for (const end = Date.now() + 15_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
/** Presses a button until it has done its work: what it is in may be drawn anew, or move, just as it is pressed. */
async function press(button, what, holds) {
  for (const end = Date.now() + 30_000; ; ) {
    await button.click({ timeout: 3_000 }).catch(() => {});
    for (const again = Date.now() + 3_000; Date.now() < again; ) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (Date.now() > end) throw new Error(`pressed in vain: ${what}`);
  }
}
const isIn = async (client, room) => (await client.rooms()).includes(room);
const leaves = (button, room, ...clients) =>
  press(button, `all leave ${room}`, async () => (await Promise.all(clients.map((client) => isIn(client, room)))).every((is) => !is));
const ends = async (button, ...clients) => {
  await press(button, "all are disconnected", () => clients.every((client) => client.left !== undefined));
  for (const client of clients) assert.match(client.left, /^(io server disconnect|transport close)$/);
};

await open(one, pictures, async ({ page, picture, logIn, go, sent }) => {
  const row = (text) => page.getByRole("row").filter({ hasText: text });
  const button = (within, icon) => within.locator(`button:has(.mdi-${icon})`);
  const choose = async () => {
    // It shows one channel at a time.
    await page.locator(".v-main .selector").click();
    await page.getByRole("option", { name: "/open" }).click();
  };
  /** Opens the page of a socket, by its row. Its page shows the socket of the moment in which it is opened. */
  const details = async (client) => {
    await go("/sockets/");
    await row(client.id).locator("td").first().click();
    await page.getByText("Initial HTTP request").waitFor();
    await page.locator(".v-main").getByRole("cell", { name: client.id, exact: true }).first().waitFor();
  };
  const room = async (name) => {
    await go("/rooms/");
    await row(name).waitFor();
    await go(`/n/%2Fopen/rooms/${name}`);
    await page.getByText("Room details").waitFor();
    await page.locator(".v-main").getByRole("cell", { name, exact: true }).waitFor();
  };
  const client = async (of) => {
    const id = of.id.slice(0, 12);
    await go("/clients/");
    await row(id).waitFor();
    await go(`/clients/${id}`);
    await page.getByText("Client details").waitFor();
    await page.locator(".v-main").getByRole("cell", { name: id, exact: true }).waitFor();
  };

  await logIn(username, "wrong");
  await page.getByText("Invalid credentials").waitFor();
  await picture("refused");
  await logIn(username, password);
  await page.getByRole("button", { name: "Connect" }).waitFor({ state: "hidden" });

  let here = await connect(one, "sports");
  let there = await connect(two, "sports");

  // The dashboard, and its buttons.
  await go("/");
  const healthy = row("Healthy").first();
  await until("two nodes", async () => (await healthy.innerText()).includes("2"));
  await picture("dashboard");
  for (const to of ["clients", "servers", "sockets"]) {
    await go("/");
    await page.locator(`a.v-btn[href="#/${to}"]`).click();
    await page.waitForURL(`**/#/${to}`);
  }

  // Sockets of both nodes.
  await choose();
  await row(here.id).waitFor();
  await row(there.id).waitFor();
  await picture("sockets");
  const toggle = page.getByLabel("Read-only");
  await toggle.click({ force: true });
  assert.ok(await button(row(here.id), "logout").isDisabled());
  await toggle.click({ force: true });
  await ends(button(row(there.id), "logout"), there);
  await go("/sockets/");
  await row(there.id).waitFor({ state: "detached" });

  // One socket, on the other node: a room to join, a room to leave, and both ways out.
  there = await connect(two, "sports");
  await details(there);
  await page.getByText('"userId": "ada"').waitFor();
  await picture("socket");
  await page.getByLabel("Join a room").fill("chosen");
  await press(button(page, "tag-plus-outline"), "joins a room", () => isIn(there, "chosen"));
  await leaves(button(row("chosen"), "tag-off-outline"), "chosen", there);
  await details(there);
  await ends(button(row("Status").last(), "logout"), there);
  there = await connect(two, "sports");
  await details(there);
  await ends(button(row("Status").first(), "logout"), there);

  // The rooms: all of them, and one.
  there = await connect(two, "sports", "news");
  await go("/rooms/");
  await row("sports").waitFor();
  await picture("rooms");
  await page.getByLabel("Show private rooms").click({ force: true });
  await row(there.id).waitFor();
  await page.getByLabel("Show private rooms").click({ force: true });
  await leaves(button(row("sports"), "tag-off-outline"), "sports", here, there);
  await connect(one, "news");
  await room("news");
  await picture("room");
  await leaves(button(row(there.id), "tag-off-outline"), "news", there);
  // The click has opened the socket, too.
  await room("news");
  await button(row("Status"), "tag-off-outline").click();
  await until("the room is gone", () => page.getByText("Deleted").isVisible());
  await there.socket.timeout(5_000).emitWithAck("join", "last");
  await room("last");
  await ends(button(row(there.id), "logout"), there);
  there = await connect(two, "all");
  await here.socket.timeout(5_000).emitWithAck("join", "all");
  await go("/rooms/");
  await ends(button(row("all"), "logout"), here, there);

  // The clients: all of them, one, and its sockets.
  [here, there] = [await connect(one), await connect(two)];
  await go("/clients/");
  await row(there.id.slice(0, 12)).waitFor();
  await picture("clients");
  await ends(button(row(here.id.slice(0, 12)), "logout"), here);
  await client(there);
  await picture("client");
  await ends(button(row("Status"), "logout"), there);
  there = await connect(two);
  await client(there);
  await ends(button(row(there.id), "logout"), there);

  // The events, with their arguments, and the way to their socket.
  there = await connect(two, "sports");
  await go("/events/");
  const event = row("event_received").filter({ hasText: there.id }).or(row("Event received").filter({ hasText: there.id })).first();
  await button(event, "chevron-down").click();
  await page.getByText('"sports"').first().waitFor();
  await picture("events");
  await button(event, "chevron-up").click();
  await event.getByRole("link").click();
  await page.getByText("Initial HTTP request").waitFor();

  // The page comes again by its session, and with the form over WebSockets alone.
  await page.reload();
  await page.getByText("Connected").first().waitFor();
  await page.getByRole("button", { name: "Update" }).click();
  await page.getByText("Advanced options").click();
  await page.getByLabel("WebSocket only?").click({ force: true });
  await logIn(username, password);
  await page.getByRole("button", { name: "Connect" }).waitFor({ state: "hidden" });
  await page.getByLabel("Dark theme").click({ force: true });
  await page.locator(".theme--dark").first().waitFor();
  await page.getByLabel("Dark theme").click({ force: true });

  // The nodes, one of which dies.
  await go("/servers/");
  await until("two nodes", async () => (await row("Healthy").count()) === 2);
  await picture("servers");
  process.kill(Number(pid), "SIGKILL");
  const dead = row("Unhealthy");
  await dead.waitFor({ timeout: 20_000 });
  await button(dead, "delete-outline").click();
  await dead.waitFor({ state: "detached" });
  assert.equal(await row("Healthy").count(), 1);

  noSecrets(sent(), [cookie.split("=")[1], ...sessions.split(",")], there.id);
});
process.exit(0);
