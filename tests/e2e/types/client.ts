// The official client, typed by the file that `contract --typescript` has written.
import { io, type Socket } from "socket.io-client";
import type { Checkin, Custom, Desk, Failure, Main, Message, Open, OrdersIdLinesLine, RoomsRoom, Shape, Tree, Welcome } from "./contract.js";

const socket: Socket<Custom.ServerToClientEvents, Custom.ClientToServerEvents> = io("/custom");
const checkin: Checkin = { deskName: "A", seats: 1, kind: "member" };

export async function use(): Promise<void> {
  const answer = await socket.emitWithAck("checkin", checkin);
  if ("error" in answer) {
    const code: "no_desk" | "no_seat" | "too_many" | string = answer.error.code;
    code.trim();
  } else {
    const welcome: Welcome = answer;
    welcome.number.toFixed();
  }
  socket.emit("checkin", checkin, (answered: Welcome | Failure) => void answered);
  socket.emit("say", "hello");
  socket.emit("say", "hello", (failure) => failure?.error.code.trim());
  socket.emit("sum", 1, 2, (sum) => void sum);
  socket.emit("sum", 1, (sum) => void sum);
  socket.emit("all", "a", "b", (count) => void count);
  socket.emit("bytes", "name", new Uint8Array([1]), (bytes) => void (bytes instanceof ArrayBuffer));
  socket.emit("upload", { name: "a", file: new ArrayBuffer(1) }, () => {});
  socket.emit("optional");
  socket.emit("optional", null);
  socket.emit("nothing");
  const tree: Tree = { name: "a", branches: [{ name: "b", branches: [] }] };
  socket.emit("tree", tree, () => {});
  const shapes: Shape[] = ["Empty", { Circle: 1 }, { Line: { from: [1, 2], to: [3, 4] } }];
  for (const shape of shapes) socket.emit("draw", shape, () => {});
  socket.emit("map", { a: 1 }, () => {});
  socket.emit("desk", { label: "A" }, (desk) => {
    if (!("error" in desk)) desk.tags.join();
  });
  const sum: number | Failure = await socket.emitWithAck("sum", 1, 2);
  void sum;
}

socket.on("checked-in", (desk) => desk.trim());
socket.on("moved", (desk: Desk) => desk.position?.[0].toFixed());
socket.on("pair", (text, number) => [text.trim(), number?.toFixed()]);
socket.on("point", (x, y) => x + y);
socket.on("nothing", () => {});
socket.on("file", (file) => file.byteLength);
socket.on("many", (...texts) => texts.map((text) => text.trim()));
socket.on("message", (message: Message) => {
  if (message.type === "text") message.text.trim();
  else if (message.type === "image") message.width.toFixed();
});
socket.on("exception", (exception) => exception.event.trim());
socket.on("carolina:closed", (closed) => closed.code.trim());
socket.on("disconnect", () => {});

const open: Socket<Open.ServerToClientEvents, Open.ClientToServerEvents> = io("/open");
open.emit("whatever", 1, 2);
open.on("anything", (data) => void data);
const main: Socket<Main.ServerToClientEvents, Main.ClientToServerEvents> = io("/");
main.on("anything", () => {});

const path: OrdersIdLinesLine.Path = "/orders/7/lines/a";
const lines: Socket<OrdersIdLinesLine.ServerToClientEvents, OrdersIdLinesLine.ClientToServerEvents> = io(path);
lines.on("changed", (changed) => changed.toFixed());
lines.emitWithAck("amount").then((amount) => typeof amount === "number" && amount.toFixed());
const room: Socket<RoomsRoom.ServerToClientEvents, RoomsRoom.ClientToServerEvents> = io("/rooms/1");
room.emit("typing", true);
room.on("presence_state", (all) => Object.values(all).map(({ metas }) => metas.map(({ ref, typing }) => [ref.trim(), typing])));
room.on("presence_diff", ({ joins, leaves }) => [joins["a"]?.metas[0]?.typing, leaves["a"]?.metas[0]?.ref.trim()]);
room.on("carolina:closed", (closed) => closed.message.trim());

export function misuse(): void {
  // @ts-expect-error -- the number of the order is a number
  const wrong: OrdersIdLinesLine.Path = "/orders/seven/lines/a";
  void wrong;
  // @ts-expect-error -- no such event is emitted on a line
  lines.on("checked-in", () => {});
  // @ts-expect-error -- the data has another type
  lines.on("changed", (changed: string) => void changed);
  // @ts-expect-error -- no such event is taken on a line
  lines.emit("checkin", checkin, () => {});
  // @ts-expect-error -- the answer has another type
  lines.emit("amount", (amount: string) => void amount);
  // @ts-expect-error -- what is shown of who is there has no such property
  room.on("presence_state", (all) => all["a"]?.metas[0]?.writing);
  // @ts-expect-error -- it has a joins and a leaves
  room.on("presence_diff", (diff) => diff.joined);
  // @ts-expect-error -- another type
  room.emit("typing", "yes");
  // @ts-expect-error -- clients do not send it
  room.emit("presence_diff", {});
  // @ts-expect-error -- the library emits no such event
  room.on("carolina:close", () => {});
  // @ts-expect-error -- the data has another type
  socket.on("carolina:closed", (closed: number) => void closed);
  // @ts-expect-error -- no such event is taken
  socket.emit("chekin", checkin, () => {});
  // @ts-expect-error -- a property is missing
  socket.emit("checkin", { deskName: "A", seats: 1 }, () => {});
  // @ts-expect-error -- a property has another type
  socket.emit("checkin", { ...checkin, seats: "1" }, () => {});
  // @ts-expect-error -- no such value
  socket.emit("checkin", { ...checkin, kind: "guest" }, () => {});
  // @ts-expect-error -- no such property
  socket.emit("checkin", { deskName: "A", seats: 1, kind: "member", desc: "" }, () => {});
  // @ts-expect-error -- another type
  socket.emit("say", 5);
  // @ts-expect-error -- an argument is missing
  socket.emit("say");
  // @ts-expect-error -- the answer has another type
  socket.emit("checkin", checkin, (answer: string) => void answer);
  // @ts-expect-error -- the answer may be a failure
  socket.emitWithAck("checkin", checkin).then((answer) => answer.number);
  // @ts-expect-error -- text is not binary
  socket.emit("bytes", "name", "text", () => {});
  // @ts-expect-error -- no such event is emitted
  socket.on("checked-out", () => {});
  // @ts-expect-error -- the data has another type
  socket.on("checked-in", (desk: number) => void desk);
  // @ts-expect-error -- may be null
  socket.on("pair", (text, number) => number.toFixed());
  // @ts-expect-error -- one variant of several
  socket.on("message", (message) => message.text);
}
