import WebSocketsSvc from "carolina-sockets";

/** The log-in page. The public channel tells how many people are chatting. */
export function startLogin(app: HTMLElement): void {
  app.innerHTML = `
    <main class="card">
      <h1>Chat</h1>
      <p id="people" role="status">&nbsp;</p>
      <form method="post" action="/login">
        <label for="name">Your name</label>
        <input id="name" name="name" required maxlength="24" autocomplete="username" autofocus />
        <p id="refused" role="alert" hidden>That is no name we can use. Take 1 to 24 characters.</p>
        <button>Come in</button>
      </form>
    </main>`;
  const refused = app.querySelector<HTMLElement>("#refused");
  if (refused) refused.hidden = !location.search.includes("refused");
  const people = app.querySelector<HTMLElement>("#people");
  const lobby = WebSocketsSvc.channel("/");
  const ask = (): void => {
    lobby.request("people").then((count) => {
      if (people) people.textContent = count === 1 ? "1 person is chatting" : `${count} people are chatting`;
    }, () => undefined);
  };
  lobby.onJoin(ask);
  setInterval(ask, 5000);
}
