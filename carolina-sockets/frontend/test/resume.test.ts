import type { ChildProcess } from "node:child_process";

import { afterAll, afterEach, beforeAll, expect, inject, test } from "vitest";

import { type Channel, type Gap, WebSocketsService } from "../src/index.js";
import { cutTransport } from "./cut.js";
import { start } from "./service.js";

let server: ChildProcess;
let url: string;
const made: WebSocketsService[] = [];

beforeAll(async () => {
  ({ server, url } = await start(inject("program"), { CAROLINA_RESUME__CHANNELS: "all", CAROLINA_PRESENCE__LINGER: "500ms" }));
});

afterAll(() => void server.kill("SIGKILL"));

afterEach(() => {
  for (const service of made.splice(0)) service.disconnect();
});

function service(options: ConstructorParameters<typeof WebSocketsService>[0] = {}): WebSocketsService {
  const service = new WebSocketsService({ url, timeout: 3_000, ...options, manager: { forceNew: true, reconnectionDelay: 20, ...options.manager } });
  made.push(service);
  return service;
}

/** Has the server emit on `/open`. */
async function emit(data: unknown, more: { event?: string; room?: string } = {}): Promise<void> {
  const body = JSON.stringify({ event: "news", data, ...more });
  const response = await fetch(`${url}/emit`, { method: "POST", body, headers: { "content-type": "application/json" } });
  expect(response.status).toBe(200);
}

function until<T>(register: (found: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("it did not happen")), 8_000);
    register((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

const connected = (channel: Channel): Promise<void> => until((found) => channel.socket.once("connect", found));
const heard = (channel: Channel, last: unknown): Promise<void> =>
  until((found) => channel.socket.on("news", (data: unknown) => JSON.stringify(data) === JSON.stringify(last) && found()));

/** Cuts the connection as a network does; it comes back with {@link back}. */
async function cut({ socket }: Channel): Promise<void> {
  const gone = until((found) => socket.once("disconnect", () => found(undefined)));
  socket.io.reconnection(false);
  await cutTransport(socket);
  await gone;
}

async function back(channel: Channel): Promise<void> {
  const again = connected(channel);
  channel.socket.io.reconnection(true);
  channel.socket.connect();
  await again;
}

test("r23_a channel that is opened on an open connection asks as well", async () => {
  const all = service();
  await all.channel("/open").request("join", "room");
  expect(await all.channel("/lab").request("auth")).toEqual({ resume: true });
});

for (const transport of ["websocket", "polling"]) {
  test(`r23_what was missed comes before the connect, in order, each once, without offsets: ${transport}`, async () => {
    const channel = service({ auth: (send) => send({ key: "ada" }), manager: { transports: [transport] } }).channel("/open");
    const got: unknown[][] = [];
    const all: unknown[][] = [];
    channel.socket.onAny((...arguments_) => all.push(arguments_));
    channel.on("news", (...arguments_: unknown[]) => got.push(arguments_));
    channel.onJoin(() => got.push(["joined", channel.recovered]));
    await channel.request("join", "room");
    // Before the first event of the application, and again and again.
    await cut(channel);
    await emit("abc");
    await back(channel);
    const looksAlike = heard(channel, "0123456789abcdef:7");
    await emit("0123456789abcdef:7");
    await looksAlike;
    for (let time = 0; time < 3; time++) {
      await cut(channel);
      await emit(time, { room: "room" });
      await emit({ time });
      await emit("others", { room: "another" });
      await back(channel);
    }
    const missed = [0, 1, 2].flatMap((time) => [[time], [{ time }], ["joined", true]]);
    expect(got).toEqual([["joined", false], ["abc"], ["joined", true], ["0123456789abcdef:7"], ...missed]);
    expect(all).toEqual(got.filter(([first]) => first !== "joined").map((arguments_) => ["news", ...arguments_]));
  });
}

test("r23_an event whose listener throws does not come twice", async () => {
  const channel = service().channel("/open");
  await connected(channel);
  const got: unknown[] = [];
  const failures: unknown[] = [];
  const caught = (error: unknown): unknown => failures.push(error);
  process.on("uncaughtException", caught);
  channel.on("news", (data: unknown) => {
    got.push(data);
    if (data === "bad") throw new Error("as it is meant to");
  });
  await emit("bad");
  await until((found) => {
    const timer = setInterval(() => failures.length > 0 && (clearInterval(timer), found(undefined)), 5);
  });
  process.off("uncaughtException", caught);
  await cut(channel);
  await emit("good");
  await back(channel);
  expect(got).toEqual(["bad", "good"]);
});

test("r24_a gap is handed to the channel and to the service", async () => {
  const one = service();
  const channel = one.channel("/open");
  const gaps: [unknown, Gap][] = [];
  one.onGap((of, gap) => gaps.push([of, gap]));
  const off = one.onGap("/open", (of, gap) => gaps.push([of, gap]));
  channel.onGap((of, gap) => gaps.push([of, gap]));
  await connected(channel);
  const left = Date.now();
  // Who leaves by itself is waited for by nobody.
  channel.socket.disconnect();
  await emit("missed");
  const told = until<Gap>((found) => channel.onGap((_, gap) => found(gap)));
  channel.socket.connect();
  const gap = await told;
  expect(gap.reason).toBe("expired");
  if (gap.since !== undefined) expect(Math.abs(gap.since - left)).toBeLessThan(2_000);
  expect(channel.recovered).toBe(false);
  expect(gaps).toEqual([[channel, gap], [channel, gap], [channel, gap]]);
  off();
  // After it, it resumes again.
  await cut(channel);
  const next = heard(channel, "next");
  await emit("next");
  await back(channel);
  await next;
  expect(channel.recovered).toBe(true);
  expect(gaps.length).toBe(3);
});

test("r23_with `resume: false` in `auth` nothing is resumed", async () => {
  const channel = service({ auth: { resume: false } }).channel("/open");
  await connected(channel);
  await cut(channel);
  await emit("missed");
  const got: unknown[] = [];
  channel.on("news", (data: unknown) => got.push(data));
  await back(channel);
  expect(channel.recovered).toBe(false);
  await emit("next");
  await until((found) => {
    const timer = setInterval(() => got.length > 0 && (clearInterval(timer), found(undefined)), 5);
  });
  expect(got).toEqual(["next"]);
});

test("r20_a resumed connection is no join and no leave, and what was missed is", async () => {
  const open = (key?: string): { channel: Channel; changes: string[] } => {
    const channel = service({ auth: key === undefined ? {} : { key } }).channel("/here");
    const changes: string[] = [];
    channel.presence().onJoin((key) => changes.push(`+${key}`));
    channel.presence().onLeave((key) => changes.push(`-${key}`));
    return { channel, changes };
  };
  const keys = ({ channel }: { channel: Channel }): string => channel.presence().list().map(({ key }) => key).join();
  const shows = (tab: { channel: Channel }, expected: string): Promise<void> =>
    until((found) => {
      const look = (): void => void (keys(tab) === expected && found(undefined));
      tab.channel.presence().onSync(look);
      look();
    });
  const watcher = open();
  const ada = open("ada");
  const bob = open("bob");
  for (const tab of [watcher, ada, bob]) await shows(tab, "ada,bob");
  for (let time = 0; time < 3; time++) {
    await cut(ada.channel);
    await back(ada.channel);
    expect(ada.channel.recovered).toBe(true);
  }
  await cut(watcher.channel);
  bob.channel.socket.disconnect();
  await shows(ada, "ada");
  const cyd = open("cyd");
  await shows(ada, "ada,cyd");
  expect(keys(watcher)).toBe("ada,bob");
  await back(watcher.channel);
  await shows(watcher, "ada,cyd");
  cyd.channel.socket.disconnect();
  for (const tab of [watcher, ada]) await shows(tab, "ada");
  expect([...watcher.changes].sort()).toEqual(["+ada", "+bob", "+cyd", "-bob", "-cyd"]);
  expect([...ada.changes].sort()).toEqual(["+ada", "+bob", "+cyd", "-bob", "-cyd"]);
}, 30_000);
