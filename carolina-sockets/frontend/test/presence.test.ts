import { afterEach, expect, inject, test } from "vitest";

import { type Presence, WebSocketsService } from "../src/index.js";
import { cutTransport } from "./cut.js";

interface Mood {
  mood: string;
}

const url = inject("url");
const made: WebSocketsService[] = [];

afterEach(() => {
  for (const service of made.splice(0)) service.disconnect();
});

/** A tab on `/here`, with the changes that it is told of. */
function open(key?: string): { service: WebSocketsService; presence: Presence<Mood>; changes: string[] } {
  const service = new WebSocketsService({ url, auth: key === undefined ? {} : { key }, manager: { forceNew: true, reconnectionDelay: 100 } });
  made.push(service);
  const presence = service.channel("/here").presence<Mood>();
  const changes: string[] = [];
  presence.onJoin((key) => changes.push(`+${key}`));
  presence.onLeave((key) => changes.push(`-${key}`));
  return { service, presence, changes };
}

function until(presence: Presence<Mood>, holds: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    if (holds()) return resolve();
    const timer = setTimeout(() => reject(new Error(`it did not happen: ${JSON.stringify(presence.list())}`)), 8_000);
    const off = presence.onSync(() => {
      if (!holds()) return;
      clearTimeout(timer);
      off();
      resolve();
    });
  });
}

const keys = (presence: Presence<Mood>): string => presence.list().map(({ key }) => key).join();

const cut = (service: WebSocketsService): Promise<void> => cutTransport(service.channel("/here").socket);

test("r20_the list is the server's, and joins and leaves are told by key", async () => {
  const watcher = open();
  await until(watcher.presence, () => keys(watcher.presence) === "");
  const ada = open("ada");
  await until(watcher.presence, () => keys(watcher.presence) === "ada");
  // What `#[on(presence)]` adds is typed, and stays over changes of the entries.
  const named = watcher.service.channel("/here").presence<Mood, { capitals: string }>();
  expect(named.get("ada")?.capitals).toBe("ADA");
  const tab = open("ada");
  await until(watcher.presence, () => watcher.presence.get("ada")?.metas.length === 2);
  expect(named.list().map(({ key, capitals }) => [key, capitals])).toEqual([["ada", "ADA"]]);
  ada.service.channel("/here").socket.emit("mood", "great");
  await until(watcher.presence, () => watcher.presence.get("ada")?.metas.some(({ mood }) => mood === "great") === true);
  expect(watcher.presence.get("ada")?.metas.map(({ mood }) => mood).sort()).toEqual(["fine", "great"]);
  const late = open();
  await until(late.presence, () => keys(late.presence) === "ada");
  expect(late.changes).toEqual(["+ada"]);
  expect(late.service.channel("/here").presence()).toBe(late.presence);
  ada.service.disconnect();
  await until(watcher.presence, () => watcher.presence.get("ada")?.metas.length === 1);
  expect(watcher.changes).toEqual(["+ada"]);
  tab.service.disconnect();
  await until(watcher.presence, () => keys(watcher.presence) === "");
  expect(watcher.changes).toEqual(["+ada", "-ada"]);
}, 20_000);

test("r20_a lost connection is no join and no leave, for whom it is lost and for others", async () => {
  const watcher = open();
  const [ada, bob] = [open("ada"), open("bob")];
  for (const { presence } of [watcher, ada, bob]) await until(presence, () => keys(presence) === "ada,bob");
  let again: Promise<unknown> = Promise.resolve();
  for (let time = 0; time < 3; time++) {
    again = new Promise((resolve) => ada.service.channel("/here").socket.once("presence_state", resolve));
    await cut(ada.service);
    await again;
  }
  // Somebody goes while this one is away.
  const back = new Promise((resolve) => watcher.service.channel("/here").socket.once("presence_state", resolve));
  const socket = watcher.service.channel("/here").socket;
  socket.io.reconnection(false);
  await cut(watcher.service);
  const gone = until(ada.presence, () => keys(ada.presence) === "ada");
  bob.service.disconnect();
  await gone;
  expect(keys(watcher.presence)).toBe("ada,bob");
  socket.io.reconnection(true);
  socket.connect();
  await back;
  expect(keys(watcher.presence)).toBe("ada");
  const sorted = (changes: string[]): string[] => [...changes].sort();
  for (const { changes } of [watcher, ada]) expect(sorted(changes)).toEqual(["+ada", "+bob", "-bob"]);
}, 30_000);
