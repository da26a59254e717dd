/** Reads the session cookie's value, if a script can. The default cookie is HttpOnly, and the browser sends it by itself. */
export class SessionService {
  /** The cookie's name: the server's `session.cookie`. */
  cookieName: string;

  constructor(cookieName = "carolina.sid") {
    this.cookieName = cookieName;
  }

  /** The cookie's value; `undefined` if there is none, or a script cannot read it. */
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
