// The official client on a channel that lets it resume: node resume.mjs URL TRANSPORTS [PART].
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const [url, transports, only] = process.argv.slice(2);
const options = { transports: transports.split(","), forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
const once = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const until = async (what, holds) => {
  for (const began = Date.now(); !holds(); ) {
    assert(Date.now() - began < 15_000, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const helper = io(`${url}/feed`, options);
await once(helper, "connect");
const shout = (value) => helper.timeout(5000).emitWithAck("shout", value);

const client = io(`${url}/feed`, { ...options, auth: { resume: true } });
const seen = [];
client.onAny((event, ...args) => event.startsWith("carolina:") || seen.push([event, ...args.slice(0, -1)]));
const gaps = [];
client.on("carolina:gap", (gap) => gaps.push(gap));
client.on("connect", () => seen.push(["connect", client.recovered]));
await once(client, "connect");
const heard = [];
helper.onAny((...args) => heard.push(args));

/** Cuts the connection, does something, and lets the client come back. */
const away = async (meanwhile) => {
  client.io.reconnection(false);
  const gone = once(client, "disconnect");
  client.io.engine.close();
  await gone;
  await meanwhile();
  client.io.reconnection(true);
  seen.length = 0;
  const back = once(client, "connect");
  client.connect();
  await back;
};

// It knows an offset from the start.
await until("the first offset", () => client._lastOffset !== undefined);

const parts = {
  // Before the first event.
  async first() {
    await away(async () => { for (const value of [1, 2, 3]) await shout(value); });
    assert.deepEqual(seen, [["shout", 1], ["shout", 2], ["shout", 3], ["connect", true]]);
  },

  // Again and again.
  async again() {
    for (let round = 0; round < 3; round += 1) {
      await away(() => shout(`round ${round}`));
      assert.deepEqual(seen, [["shout", `round ${round}`], ["connect", true]]);
    }
  },

  // After nothing has been sent.
  async quiet() {
    for (let round = 0; round < 3; round += 1) {
      await away(async () => {});
      assert.deepEqual(seen, [["connect", true]]);
    }
  },

  // Texts as arguments are not taken for offsets, nor are those of other events.
  async texts() {
    seen.length = 0;
    await shout("a text");
    await client.timeout(5000).emitWithAck("tell", "one more");
    await until("both texts", () => seen.length === 2);
    await away(() => shout("the next"));
    assert.deepEqual(seen, [["shout", "the next"], ["connect", true]]);
  },

  // Its rooms, and nobody else's.
  async rooms() {
    await client.timeout(5000).emitWithAck("join", "mine");
    await away(async () => {
      await helper.timeout(5000).emitWithAck("room", "mine", "for me");
      await helper.timeout(5000).emitWithAck("room", "others", "for others");
      await helper.timeout(5000).emitWithAck("bytes", Buffer.from("bytes"));
    });
    assert.deepEqual(seen, [["room", "for me"], ["shout", Buffer.from("bytes")], ["connect", true]]);
    seen.length = 0;
    await helper.timeout(5000).emitWithAck("room", "mine", "live");
    await until("the room's event", () => seen.length === 1);
    assert.deepEqual(seen, [["room", "live"]]);
  },

  // More than is kept: a gap, and none of it.
  async more() {
    await away(async () => { for (let value = 0; value < 60; value += 1) await shout(value); });
    assert.deepEqual(seen, [["connect", false]]);
    await until("the gap", () => gaps.length === 1);
    assert.equal(gaps[0].reason, "overflow");
    assert(Math.abs(Date.now() - gaps[0].since) < 60_000, JSON.stringify(gaps));
    await away(() => shout("after the gap"));
    assert.deepEqual(seen, [["shout", "after the gap"], ["connect", true]]);
  },
};
if (only) assert(Object.hasOwn(parts, only), `no part is called ${only}`);
for (const [name, run] of Object.entries(parts)) if (!only || only === name) await run();

// A client that has not asked gets what it always got.
assert.equal(helper._pid, undefined);
assert.deepEqual(heard.filter(([event]) => event !== "shout"), []);
assert(heard.every((args) => args.length === 2), JSON.stringify(heard.slice(0, 3)));

client.close();
helper.close();
