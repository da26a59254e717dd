import { readFileSync } from "node:fs";
import { type IncomingMessage, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, describe, expect, inject, test, vi } from "vitest";

import { start } from "./service.js";
import Default, { ChannelError, SessionService, SessionSvc, WebSocketsService, WebSocketsSvc } from "../src/index.js";

const url = inject("url");
const made: WebSocketsService[] = [];

/** Status and body. */
type Answer = (request: IncomingMessage) => [number, string];

interface Typed {
  "/lab": {
    listen: { exception: (body: { code: string; message: string; event: string }) => void };
    emit: { echo: (text: string, answer: (text: string) => void) => void };
  };
  [order: `/orders/${string}`]: { listen: object; emit: { note: (text: string, answer: () => void) => void } };
}

function service(options: ConstructorParameters<typeof WebSocketsService>[0] = {}): WebSocketsService {
  const service = new WebSocketsService({ url, timeout: 3_000, ...options, manager: { forceNew: true, ...options.manager } });
  made.push(service);
  return service;
}

/** Logs a user in and returns the cookie's value. */
async function login(user: string): Promise<string> {
  const response = await fetch(`${url}/login?user=${user}`, { method: "POST" });
  const cookie = /^carolina\.sid=([^;]+)/.exec(response.headers.get("set-cookie") ?? "")?.[1];
  if (!cookie) throw new Error(`no cookie: ${response.status}`);
  return cookie;
}

/** A page whose scripts can read this cookie. */
function page(cookie: string): void {
  vi.stubGlobal("document", { cookie });
}

function until<T>(register: (found: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("it did not happen")), 5_000);
    register((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

test("the bundle that the server has is that of the official client", () => {
  const of = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  expect(of("../../src/service/client/socket.io.min.js")).toBe(of("../node_modules/socket.io-client/dist/socket.io.min.js"));
});

afterEach(() => {
  for (const service of made.splice(0)) service.disconnect();
  vi.unstubAllGlobals();
});

describe("channels", () => {
  test("the singleton is there, by name and by default", () => {
    expect(Default).toBe(WebSocketsSvc);
    expect(WebSocketsSvc).toBeInstanceOf(WebSocketsService);
  });

  test("connect gives the same socket ever after, in either order", async () => {
    const svc = service();
    const first = svc.connect("/lab");
    const configured = vi.fn();
    expect(svc.configureChannel("/lab", configured)).toBe(first);
    expect(svc.connect("/lab")).toBe(first);
    svc.configureChannel("/open", configured);
    const open = svc.connect("/open");
    expect(configured.mock.calls).toEqual([[first], [open]]);
    expect(open.io).toBe(first.io);
    expect(svc.connect()).toBe(svc.connect("/"));
    expect(await svc.request("/lab", "echo", 1)).toBe(1);
  });

  test("the configuration runs once per socket, and holds over reconnects", async () => {
    const svc = service();
    let connects = 0;
    const configure = vi.fn((socket: { on(event: string, heard: () => void): unknown }) => {
      socket.on("connect", () => (connects += 1));
    });
    svc.configureChannel("/lab", configure);
    svc.configureChannel("/lab", configure);
    await svc.request("/lab", "echo", 1);
    svc.connect("/lab").io.engine.close();
    await until<void>((found) => svc.connect("/lab").once("connect", () => found()));
    expect(configure).toHaveBeenCalledTimes(1);
    expect(connects).toBe(2);
  });

  test("another configuration of the same channel is refused, and the service stays usable", async () => {
    const svc = service();
    svc.configureChannel("/lab", () => {});
    expect(() => svc.configureChannel("/lab", () => {})).toThrow(expect.objectContaining({ code: "already_configured" }));
    expect(await svc.request("/lab", "echo", "still")).toBe("still");
  });

  test("wrong paths are told, and the service stays usable", async () => {
    const svc = service();
    for (const path of ["lab", "", "/a b", "/a,b", "/a?b"]) {
      expect(() => svc.connect(path)).toThrow(expect.objectContaining({ code: "invalid_path" }));
    }
    await expect(svc.request("/nowhere", "echo")).rejects.toMatchObject({ code: "unknown_channel" });
    expect(await svc.request("/lab", "echo", 2)).toBe(2);
  });

  test("auth reaches the handshake", async () => {
    expect(await service({ auth: { token: "t" } }).request("/lab", "auth")).toMatchObject({ token: "t" });
  });
});

describe("events of a channel", () => {
  test("are sent without an answer, and heard until the listener is removed", async () => {
    const lab = service().channel("/lab");
    const heard = vi.fn();
    const remove = lab.on("exception", heard);
    lab.emit("fails");
    await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(1));
    expect(heard.mock.calls[0]?.[0]).toMatchObject({ event: "fails" });
    remove();
    lab.emit("fails");
    // In order: what was sent before is answered before.
    await lab.request("echo", 1);
    expect(heard).toHaveBeenCalledTimes(1);
  });

  test("an error of a request is told from others", async () => {
    const lab = service().channel("/lab");
    const failed: unknown = await lab.request("fails").catch((error: unknown) => error);
    expect(lab.failed("fails", failed)).toBe(true);
    expect(lab.failed("fails", new Error("another"))).toBe(false);
  });
});

describe("requests", () => {
  test("resolve with the acknowledgement", async () => {
    const svc = service();
    expect(await svc.request("/lab", "echo", { a: [1, "é"] })).toEqual({ a: [1, "é"] });
    expect(await svc.request("/lab", "echo", 1, "two")).toEqual([1, "two"]);
    expect(await svc.request("/lab", "echo")).toBeUndefined();
  });

  test("are typed for each channel", async () => {
    const svc = new WebSocketsService<Typed>({ url, manager: { forceNew: true } });
    made.push(svc as unknown as WebSocketsService);
    const text: string = await svc.request("/lab", "echo", "typed");
    expect(text).toBe("typed");
    expect(await svc.channel("/lab").request("echo", "again")).toBe("again");
    () => {
      // @ts-expect-error -- the channel takes a text
      void svc.request("/lab", "echo", 1);
      // @ts-expect-error -- an event of another channel
      void svc.channel("/lab").request("note", "x");
      void svc.channel("/orders/42").request("note", "x");
      // @ts-expect-error -- the server emits no such event
      svc.connect("/lab").on("nonsense", () => {});
      // @ts-expect-error -- no channel has this path
      svc.channel("/elsewhere");
    };
  });

  test("reject with the server's error", async () => {
    const failed = service().request("/lab", "fails", "sold_out");
    await expect(failed).rejects.toBeInstanceOf(ChannelError);
    await expect(failed).rejects.toMatchObject({ code: "sold_out", message: "as it was asked to", details: { asked: true } });
    await expect(service().request("/lab", "nonsense")).rejects.toMatchObject({ code: "unknown_event" });
  });

  test("reject on a timeout", async () => {
    await expect(service({ timeout: 100 }).request("/lab", "never")).rejects.toMatchObject({ code: "timeout" });
  });

  test("reject on a disconnect", async () => {
    const svc = service();
    await svc.request("/lab", "echo");
    const pending = svc.request("/lab", "never");
    svc.connect("/lab").io.engine.close();
    await expect(pending).rejects.toMatchObject({ code: "disconnected" });
    expect(await svc.request("/lab", "echo", "back")).toBe("back");
  });

  test("reject what is too large with the server's reason", async () => {
    const { server, url } = await start(inject("program"), { CAROLINA_LIMITS__MAX_PAYLOAD: "10kB" });
    const svc = service({ url, manager: { transports: ["polling"] } });
    await svc.request("/lab", "echo");
    await expect(svc.request("/lab", "echo", "x".repeat(12_000))).rejects.toMatchObject({ code: "payload_too_large" });
    expect(await svc.request("/lab", "echo", "after")).toBe("after");
    server.kill("SIGTERM");
  });

  test("a private channel that refuses is told, and tried again by the next request", async () => {
    const svc = service();
    const refused: ChannelError[] = [];
    svc.onRefused("/members", (error) => refused.push(error));
    await expect(svc.request("/members", "anything")).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(svc.request("/members", "anything")).rejects.toMatchObject({ code: "unauthenticated" });
    expect(refused[0]).toMatchObject({ code: "unauthenticated", message: "log in first" });
    expect(await svc.request("/lab", "echo", "others")).toBe("others");
  });

  test("a server that is away is told, and found when it is there", async () => {
    const svc = service({ url: "http://127.0.0.1:9", timeout: 500 });
    const error = until<ChannelError>((found) => svc.onRefused("/lab", found));
    await expect(svc.request("/lab", "echo")).rejects.toMatchObject({ code: "timeout" });
    expect((await error).code).toBe("unreachable");
    const here = service();
    expect(await here.request("/lab", "echo", 1)).toBe(1);
  });

  test("exceptions are heard", async () => {
    const svc = service();
    const heard = until<[ChannelError, string]>((found) => svc.onException("/lab", (error, event) => found([error, event])));
    svc.connect("/lab").emit("fails", "loud");
    const [error, event] = await heard;
    expect(error).toMatchObject({ code: "loud", details: { asked: true } });
    expect(event).toBe("fails");
  });
});

describe("coming and going", () => {
  test("onJoin runs at each connect, before requests that waited", async () => {
    const svc = service();
    let joins = 0;
    svc.onJoin("/open", () => {
      joins += 1;
      void svc.request("/open", "join", "mine");
    });
    expect(await svc.request("/open", "join", "first")).toEqual(["first", "mine"]);
    svc.connect("/open").io.engine.close();
    const waited = svc.request("/open", "join", "second");
    expect(await waited).toEqual(["mine", "second"]);
    expect(joins).toBe(2);
    // On a connected channel it runs at once, and a failure of one function is none of the others.
    const unhandled = until<unknown>((found) => process.once("unhandledRejection", found));
    const stop = svc.onJoin("/open", () => {
      throw new Error("as it was asked to");
    });
    expect(await unhandled).toMatchObject({ message: "as it was asked to" });
    stop();
    expect(await svc.request("/open", "join", "third")).toEqual(["mine", "second", "third"]);
  });

  test("a channel that the application closes says so, and requests that wait fail with that", async () => {
    const svc = service();
    await svc.request("/lab", "echo");
    const closed = until<[ChannelError, boolean]>((found) => svc.onClosed("/lab", (...all) => found(all)));
    await expect(svc.request("/lab", "dismiss")).rejects.toMatchObject({ code: "removed" });
    expect(await closed).toMatchObject([{ code: "removed", message: "the server removed you from this channel" }, false]);
    expect(await svc.request("/lab", "echo", "again")).toBe("again");
  });

  test("a log-out closes private channels, and a log-in opens them", async () => {
    const cookie = await login("ada");
    page(`carolina.sid=${cookie}; carolina.sid.marker=1.a`);
    const svc = service();
    const members = svc.channel("/members");
    await until<void>((found) => members.onJoin(() => found()));
    const closed = until<[ChannelError, boolean]>((found) => members.onClosed((...all) => found(all)));
    await fetch(`${url}/logout`, { method: "POST", headers: { cookie: `carolina.sid=${cookie}` } });
    expect(await closed).toMatchObject([{ code: "unauthenticated" }, false]);
    page("");
    expect(await svc.request("/lab", "whoami")).toBeNull();
    page(`carolina.sid=${await login("grace")}; carolina.sid.marker=2.b`);
    const back = until<void>((found) => members.socket.once("connect", () => found()));
    expect(await svc.request("/lab", "whoami")).toBe("grace");
    await back;
  });

  test("a server that shuts down says so, and the client comes back", async () => {
    const { server, url } = await start(inject("program"));
    const svc = service({ url });
    await svc.request("/lab", "echo");
    const closed = until<[ChannelError, boolean]>((found) => svc.onClosed("/lab", (...all) => found(all)));
    server.kill("SIGTERM");
    expect(await closed).toMatchObject([{ code: "shutting_down" }, true]);
    expect(svc.connect("/lab").active).toBe(true);
  });

  test("an origin that is refused is told, with what to do", async () => {
    vi.stubGlobal("location", { origin: "https://page.example" });
    const spoken = vi.spyOn(console, "error").mockImplementation(() => {});
    const extraHeaders = { origin: "https://page.example" };
    const svc = service({ manager: { extraHeaders } });
    const refused = until<ChannelError>((found) => svc.onRefused("/lab", found));
    const expected = { code: "page_refused", message: expect.stringContaining('origins = ["https://page.example"]') };
    await expect(svc.request("/lab", "echo")).rejects.toMatchObject(expected);
    expect(await refused).toMatchObject(expected);
    expect(spoken).toHaveBeenCalledTimes(1);
    spoken.mockRestore();
  });

  test("what answers in place of the server is told", async () => {
    // As a development server without a proxy: its page for every GET, and 404 for the rest.
    const page: Answer = (request) => (request.method === "GET" ? [200, "<!doctype html><title>app</title>"] : [404, ""]);
    const behind = (status: number): Answer => () => [status, `<h1>${status}</h1>`];
    const cases: [Answer, string][] = [
      [page, "status 404, is not the server"],
      [page, "`server.proxy` (Vite)"],
      [behind(404), "status 404, is not the server"],
      ...[502, 503, 504].map((status): [Answer, string] => [behind(status), `the server behind the proxy is away: the proxy answers in its place, with status ${status}`]),
    ];
    for (const [answer, expected] of cases) {
      const spoken = vi.spyOn(console, "error").mockImplementation(() => {});
      const other = createServer((request, response) => {
        const [status, body] = answer(request);
        response.writeHead(status).end(body);
      });
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const svc = service({ url: `http://127.0.0.1:${(other.address() as AddressInfo).port}`, timeout: 500 });
      const told = until<ChannelError>((found) => svc.onRefused("/lab", found));
      const asked = expect(svc.request("/lab", "echo")).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining(expected) });
      expect(await told).toMatchObject({ code: "unreachable", message: expect.stringContaining(expected) });
      await asked;
      expect(spoken).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(expected));
      spoken.mockRestore();
      other.close();
    }
  });
});

describe("options", () => {
  test("unknown ones are told", () => {
    const spoken = vi.spyOn(console, "error").mockImplementation(() => {});
    const svc = service();
    svc.configure({ timeout: 1_000, withCredentials: true });
    expect(spoken).not.toHaveBeenCalled();
    svc.configure({ transports: ["polling"] } as object);
    expect(spoken).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/does not know `transports`.*`manager`/));
    spoken.mockRestore();
  });

  test("a page sends its cookies to a server of another origin, unless told otherwise", () => {
    const sends = (options: Parameters<typeof service>[0]): unknown => service(options).connect("/lab").io.opts.withCredentials;
    expect(sends({})).toBe(false);
    vi.stubGlobal("location", { origin: "https://page.example", protocol: "https:", hostname: "page.example", port: "" });
    expect(sends({})).toBe(true);
    expect(sends({ withCredentials: false })).toBe(false);
    expect(sends({ manager: { withCredentials: false } })).toBe(false);
  });
});

describe("traces", () => {
  const SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  /** What a service sends and is answered: arguments of `echo`, and the payload of the handshake. */
  async function seen(options: Parameters<typeof service>[0], ...data: unknown[]): Promise<unknown[]> {
    const channel = service(options).channel("/lab");
    const sent: unknown[][] = [];
    channel.socket.onAnyOutgoing((...packet: unknown[]) => sent.push(packet));
    const [auth, answer] = [await channel.request("auth"), await channel.request("echo", ...data)];
    return [sent.at(-1)?.slice(1), answer, auth];
  }

  test("the page's span goes with each event, and no handler sees it", async () => {
    const last = { "carolina:traceparent": SPAN };
    expect(await seen({ traceparent: () => SPAN }, "a", { b: 1 })).toEqual([["a", { b: 1 }, last], ["a", { b: 1 }], { resume: true, traceparent: SPAN }]);
  });

  test("without a span nothing is added", async () => {
    for (const options of [{}, { traceparent: () => undefined }, { traceparent: () => "no span" }]) {
      expect(await seen(options, "a", { b: 1 })).toEqual([["a", { b: 1 }], ["a", { b: 1 }], { resume: true }]);
    }
  });
});

describe("sessions", () => {
  test("a cookie that a script can read is sent as session_id, and again after a reconnect", async () => {
    page(`other=1; carolina.sid=${await login("ada")}`);
    const svc = service();
    expect(await svc.request("/lab", "whoami")).toBe("ada");
    svc.connect("/lab").io.engine.close();
    await until<void>((found) => svc.connect("/lab").once("connect", () => found()));
    expect(await svc.request("/lab", "whoami")).toBe("ada");
  });

  test("an expired or forged cookie is told, and is nobody", async () => {
    page("carolina.sid=forged");
    const svc = service();
    const heard = until<ChannelError>((found) => svc.onException("/lab", found));
    expect(await svc.request("/lab", "whoami")).toBeNull();
    expect((await heard).code).toBe("unauthenticated");
  });

  test("after a log-in, reconnect takes the channels along", async () => {
    page("");
    const svc = service();
    expect(await svc.request("/lab", "whoami")).toBeNull();
    page(`carolina.sid=${await login("grace")}`);
    svc.reconnect();
    expect(await svc.request("/lab", "whoami")).toBe("grace");
  });

  test("SessionSvc reads the cookie", () => {
    expect(SessionSvc.get()).toBeUndefined();
    page("a=b; carolina.sid=x%2By%3D; c=d");
    expect(SessionSvc.get()).toBe("x+y=");
    expect(new SessionService("c").get()).toBe("d");
    expect(new SessionService("missing").get()).toBeUndefined();
  });
});
