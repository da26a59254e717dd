// The front-end package, typed by the file that `contract --typescript` has written: nothing has to be imported from it.
import WebSocketsSvc, { ChannelError, WebSocketsService } from "carolina-sockets";
import type { Welcome } from "./contract.js";

const custom = WebSocketsSvc.channel("/custom");
const checkin = { deskName: "A", seats: 1, kind: "member" } as const;

export async function use(): Promise<void> {
  const welcome: Welcome = await custom.request("checkin", checkin);
  welcome.desk.label.trim();
  const sum: number = await custom.request("sum", 1);
  (await custom.request("sum", sum, 2)).toFixed();
  const swapped: [boolean, string] = await custom.request("swap", "a", true);
  swapped[1].trim();
  const nothing: void = await custom.request("say", "hello");
  void nothing;
  await custom.request("all", "a", "b");
  await custom.request("optional");
  await custom.request("optional", "text");
  const bytes: ArrayBuffer = await WebSocketsSvc.request("/custom", "bytes", "name", new Uint8Array([1]));
  void bytes;

  custom.emit("say", "hello");
  custom.emit("checkin", checkin);
  const remove: () => void = custom.on("checked-in", (desk) => desk.trim());
  remove();
  WebSocketsSvc.connect("/custom").on("moved", (desk) => desk.label.trim());

  custom.request("tree", { name: "a", branches: [] }).catch((error) => {
    const details: unknown = error.details;
    if (error.code === "invalid_payload" || error.code === "timeout") return error.message.trim();
    return details;
  });
  try {
    await custom.request("checkin", checkin);
  } catch (error) {
    if (custom.failed("checkin", error) && error.code === "no_desk") error.message.trim();
    if (error instanceof ChannelError) error.code.trim();
  }
}

interface Orders {
  "/orders": { listen: { all: (count: number) => void }; emit: {} };
  "/orders/new": { listen: { made: (id: number) => void }; emit: {} };
  "/orders/{id}": { listen: { changed: (id: string) => void }; emit: { note: (text: string, answer?: () => void) => void } };
  "/orders/{id}/lines/{line}": { listen: {}; emit: { amount: (answer: (amount: number) => void) => void } };
}
const orders = new WebSocketsService<Orders>();

export async function parameters(id: number, line: string): Promise<void> {
  WebSocketsSvc.channel(`/orders/${id}/lines/${line}`).on("changed", (changed) => changed.toFixed());
  (await WebSocketsSvc.request("/orders/7/lines/a", "amount")).toFixed();
  const room = WebSocketsSvc.channel(`/rooms/${line}`);
  room.on("presence_diff", ({ joins }) => joins["a"]?.metas[0]?.typing);
  await room.request("typing", true);
  // @ts-expect-error -- another type
  room.request("typing", "yes");
  // @ts-expect-error -- what is shown of who is there has no such property
  room.on("presence_state", (all) => all["a"]?.metas[0]?.writing);
  // @ts-expect-error -- of another channel
  room.emit("amount");
  // @ts-expect-error -- the data has another type
  WebSocketsSvc.channel("/orders/7/lines/a").on("changed", (changed: string) => void changed);
  // @ts-expect-error -- the number of the order is a number
  WebSocketsSvc.channel("/orders/seven/lines/a");

  orders.channel("/orders/42").on("changed", (changed) => changed.trim());
  orders.channel(`/orders/${id}`).emit("note", "text");
  orders.channel("/orders/new").on("made", (made) => made.toFixed());
  const amount: number = await orders.request(`/orders/${id}/lines/${line}`, "amount");
  void amount;
  // @ts-expect-error -- a literal path comes before one with parameters
  orders.channel("/orders/new").on("changed", () => {});
  // @ts-expect-error -- of the channel of the lines
  orders.channel("/orders/42/lines/1").emit("note", "text");
  // @ts-expect-error -- no channel has this path
  orders.channel("/order/42");
}

export function misuse(): void {
  // @ts-expect-error -- no channel has this path
  WebSocketsSvc.channel("/elsewhere");
  // @ts-expect-error -- no such event is taken
  custom.request("chekin", checkin);
  // @ts-expect-error -- a property is missing
  custom.request("checkin", { deskName: "A", seats: 1 });
  // @ts-expect-error -- another type
  custom.request("say", 5);
  // @ts-expect-error -- an argument too many
  custom.request("say", "a", "b");
  // @ts-expect-error -- the answer has another type
  const answer: Promise<string> = custom.request("checkin", checkin);
  void answer;
  // @ts-expect-error -- another type
  custom.emit("say", 5);
  // @ts-expect-error -- no such event is emitted
  custom.on("checked-out", () => {});
  // @ts-expect-error -- the data has another type
  custom.on("checked-in", (desk: number) => void desk);
  // @ts-expect-error -- no such code: this event fails with those of the library alone
  custom.request("tree", { name: "a", branches: [] }).catch((error) => error.code === "no_tree");
}
