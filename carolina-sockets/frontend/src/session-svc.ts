/** Reads the session's id, as the cookie has it, where a script can. The default cookie is HttpOnly and travels by itself. */
export class SessionService {
  /** The cookie's name: the server's `session.cookie`. */
  cookieName: string;

  constructor(cookieName = "carolina.sid") {
    this.cookieName = cookieName;
  }

  /** The cookie's value; `undefined` where there is none, or none that a script may read. */
  get(): string | undefined {
    const cookies = typeof document === "undefined" ? "" : document.cookie;
    for (const cookie of cookies.split(";")) {
      const [name, ...value] = cookie.trim().split("=");
      if (name === this.cookieName) return decode(value.join("="));
    }
    return undefined;
  }
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** The page's session. */
export const SessionSvc = /* @__PURE__ */ new SessionService();
