import { ChannelError, WebSocketsService } from "carolina-sockets";

import type { Message } from "./contract";

/** A room, or a talk with one user. */
interface Place {
  kind: "room" | "user";
  name: string;
}

/** What the server shows of each client of `/people`. */
interface Person {
  moderator: boolean;
}

/** What it shows of each client in a room. */
interface Viewer {
  typing: boolean;
}

const key = (place: Place): string => `${place.kind}:${place.name}`;

/** The chat itself. */
export function startChat(app: HTMLElement, me: { user: string; moderator: boolean }): void {
  const channels = new WebSocketsService();
  app.innerHTML = `
    <div class="chat">
      <header>
        <h1>Chat</h1>
        <p id="state" role="status" class="state" data-state="connecting">connecting…</p>
        <p class="me">${escape(me.user)}${me.moderator ? ' <span class="badge">moderator</span>' : ""}</p>
        <form method="post" action="/logout"><button class="quiet">Log out</button></form>
      </header>
      <nav aria-label="Places">
        <details open>
          <summary>Rooms and people</summary>
          <h2 id="rooms-title">Rooms</h2>
          <ul id="rooms" aria-labelledby="rooms-title"></ul>
          <h2 id="people-title">Online <span id="count"></span></h2>
          <ul id="people" aria-labelledby="people-title"></ul>
          <section id="removed" hidden>
            <h2 id="removed-title">Removed</h2>
            <ul aria-labelledby="removed-title"></ul>
          </section>
        </details>
      </nav>
      <main>
        <h2 id="place" tabindex="-1"></h2>
        <p id="here"></p>
        <ol id="log" role="log" aria-live="polite" aria-labelledby="place" tabindex="0"></ol>
        <p id="typing" role="status">&nbsp;</p>
        <p id="problem" role="alert" hidden></p>
        <form id="compose">
          <label for="text" class="hidden">Message</label>
          <input id="text" autocomplete="off" maxlength="2000" placeholder="Write a message" />
          <button>Send</button>
        </form>
      </main>
    </div>`;

  const $ = <E extends HTMLElement = HTMLElement>(selector: string): E => {
    const element = app.querySelector<E>(selector);
    if (!element) throw new Error(`the page has no ${selector}`);
    return element;
  };
  const text = $<HTMLInputElement>("#text");
  const narrow = matchMedia("(max-width: 44rem)");
  const details = $<HTMLDetailsElement>("nav details");
  details.open = !narrow.matches;

  let place: Place = { kind: "room", name: "lobby" };
  let rooms: string[] = [];
  /** The room that is joined, also while a talk with a user is shown. */
  let joined = "";
  let isTyping = false;
  let ended = false;
  let loggedOut = false;
  const talks = new Map<string, Message[]>();
  const unread = new Set<string>();
  const people = channels.channel("/people");
  const online = people.presence<Person>();
  const room = (name: string) => channels.channel(`/rooms/${name}`);

  function problem(error: unknown): void {
    const element = $("#problem");
    element.textContent = error instanceof ChannelError ? error.message : error === undefined ? "" : String(error);
    element.hidden = error === undefined;
  }

  function state(value: "connected" | "connecting" | "away" | "ended", said: string): void {
    const element = $("#state");
    element.dataset.state = value;
    element.textContent = said;
    const off = value !== "connected";
    text.disabled = off;
    $<HTMLButtonElement>("#compose button").disabled = off;
  }

  function row(message: Message): HTMLLIElement {
    const item = document.createElement("li");
    item.className = message.from === me.user ? "own" : "";
    const who = document.createElement("strong");
    who.textContent = message.from;
    const when = document.createElement("time");
    const date = new Date(message.at);
    when.dateTime = date.toISOString();
    when.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const what = document.createElement("p");
    what.textContent = message.text;
    item.append(who, " ", when, what);
    return item;
  }

  function show(): void {
    $("#place").textContent = place.kind === "room" ? `# ${place.name}` : `With ${place.name}`;
    text.placeholder = place.kind === "room" ? `Write to # ${place.name}` : `Write to ${place.name}`;
    const log = $("#log");
    log.replaceChildren(...(talks.get(key(place)) ?? []).map(row));
    log.scrollTop = log.scrollHeight;
    lists();
    here();
  }

  /** Who is in the room, and who is typing. */
  function here(): void {
    const present = place.kind === "room" ? room(place.name).presence<Viewer>().list() : [];
    $("#here").textContent = present.map(({ key }) => key).join(", ") || "\u00a0";
    const typing = present.filter(({ key, metas }) => key !== me.user && metas.some((viewer) => viewer.typing));
    $("#typing").textContent = typing.map(({ key }) => `${key} is typing…`).join(" ") || "\u00a0";
  }

  function add(where: Place, message: Message): void {
    const talk = talks.get(key(where)) ?? [];
    talk.push(message);
    talks.set(key(where), talk);
    if (key(where) === key(place)) {
      const log = $("#log");
      log.append(row(message));
      log.scrollTop = log.scrollHeight;
    } else {
      unread.add(key(where));
      lists();
    }
  }

  function entry(where: Place, label: string): HTMLLIElement {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    if (key(where) === key(place)) button.setAttribute("aria-current", "true");
    if (unread.has(key(where))) {
      button.classList.add("unread");
      button.append(hidden(" (new)"));
    }
    button.addEventListener("click", () => go(where));
    item.append(button);
    return item;
  }

  function lists(): void {
    $("#rooms").replaceChildren(...rooms.map((room) => entry({ kind: "room", name: room }, `# ${room}`)));
    const users = online.list();
    $("#count").textContent = String(users.length);
    $("#people").replaceChildren(
      ...users.map(({ key: user, metas }) => {
        const item = entry({ kind: "user", name: user }, user === me.user ? `${user} (you)` : user);
        if (me.moderator && !metas.some(({ moderator }) => moderator)) item.append(act("Remove", user, "remove"));
        return item;
      }),
    );
  }

  function act(label: string, user: string, event: "remove" | "readmit"): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = label;
    button.append(hidden(` ${user}`));
    button.addEventListener("click", () => channels.request("/moderators", event, user).then(() => problem(undefined), problem));
    return button;
  }

  function go(where: Place): void {
    place = where;
    unread.delete(key(where));
    if (narrow.matches) details.open = false;
    problem(undefined);
    if (where.kind === "room") join(where.name);
    show();
    text.focus();
  }

  /** Joins a room, and leaves the one before. */
  function join(name: string): void {
    if (name === joined) return;
    if (joined !== "") room(joined).leave(false);
    isTyping = false;
    const { socket } = channels.channel(`/rooms/${name}`);
    if (seen.has(name)) socket.connect();
    else watch(name);
    joined = name;
  }

  const seen = new Set<string>();

  function watch(name: string): void {
    seen.add(name);
    const channel = room(name);
    const where: Place = { kind: "room", name };
    // What was said before comes at each connect, so that nothing of it is missing after a connection was lost.
    channel.on("history", (said) => {
      talks.set(key(where), said);
      if (key(where) === key(place)) show();
    });
    channel.on("said", (message) => add(where, message));
    channel.onJoin(() => void (isTyping = false));
    channel.presence<Viewer>().onSync(here);
    channel.onRefused((error) => {
      if (error.code !== "unreachable") problem(error);
    });
    channel.onException((error) => problem(error));
  }

  people.socket.on("connect", () => {
    // Somebody has logged in in another tab, perhaps as another user.
    if (loggedOut) return location.reload();
    ended = false;
    state("connected", "connected");
    problem(undefined);
  });
  people.socket.on("disconnect", () => {
    if (!ended) state("connecting", "connection lost, trying again…");
  });
  people.on("rooms", (known) => {
    rooms = known;
    lists();
  });
  people.on("direct", (message) => {
    add({ kind: "user", name: message.from === me.user ? message.to : message.from }, message);
  });
  online.onSync(lists);
  people.onClosed((error, comesBack) => {
    if (comesBack) return;
    ended = true;
    state("ended", "disconnected");
    loggedOut = error.code === "unauthenticated";
    if (loggedOut) problem("You have been logged out.");
    // Removed by a moderator: joining again tells.
    else people.socket.connect();
  });
  people.onRefused((error) => {
    if (error.code === "unreachable") return state("away", "the server is away, trying again…");
    ended = true;
    state("ended", "disconnected");
    problem(error.code === "unauthenticated" ? "You have been logged out." : error);
  });
  people.onException((error) => problem(error));

  if (me.moderator) {
    channels.configureChannel("/moderators", (socket) => {
      socket.on("removed", (users) => {
        const section = $("#removed");
        section.hidden = users.length === 0;
        section.querySelector("ul")?.replaceChildren(
          ...users.map((user) => {
            const item = document.createElement("li");
            item.append(user, act("Readmit", user, "readmit"));
            return item;
          }),
        );
      });
    });
  }

  let quiet: ReturnType<typeof setTimeout> | undefined;
  function typing(now: boolean): void {
    clearTimeout(quiet);
    if (now) quiet = setTimeout(() => typing(false), 2500);
    if (now === isTyping) return;
    isTyping = now;
    room(joined).emit("typing", now);
  }
  text.addEventListener("input", () => typing(place.kind === "room" && text.value !== ""));
  $("#compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const said = text.value.trim();
    if (said === "") return;
    const sent =
      place.kind === "room" ? room(place.name).request("say", said) : people.request("direct", { to: place.name, text: said });
    // Now, and not when the answer comes: by then the next message may have been begun.
    text.value = "";
    typing(false);
    sent.then(
      () => problem(undefined),
      (error: unknown) => {
        problem(error);
        // Not lost: it can be changed and sent again.
        if (text.value === "") text.value = said;
      },
    );
  });

  go(place);
}

function hidden(said: string): HTMLSpanElement {
  const span = document.createElement("span");
  span.className = "hidden";
  span.textContent = said;
  return span;
}

function escape(said: string): string {
  const element = document.createElement("span");
  element.textContent = said;
  return element.innerHTML;
}
