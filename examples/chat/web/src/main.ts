import "./style.css";

import { startChat } from "./chat.ts";
import { startLogin } from "./login.ts";

export interface Me {
  user: string | null;
  moderator: boolean;
}

const app = document.querySelector<HTMLElement>("#app");
if (app) {
  const answer = await fetch("/me").catch(() => undefined);
  if (!answer?.ok) {
    app.innerHTML = `<main class="card"><h1>Chat</h1><p role="alert">The server is away. Load the page again in a moment.</p></main>`;
  } else {
    const me = (await answer.json()) as Me;
    if (me.user === null) startLogin(app);
    else startChat(app, { user: me.user, moderator: me.moderator });
  }
}
