/** How often the cookies are looked at where the browser does not report their changes, in milliseconds. */
const POLL_EVERY = 1000;

/**
 * What a page can see of its session. The session cookie is HttpOnly by default: the browser sends it by itself, and scripts cannot read
 * it. The server sets a second cookie beside it, the marker, by which a script can see that there is another session or another user.
 */
export class SessionService {
  /** The cookie's name: the server's `session.cookie`. */
  cookieName: string;

  constructor(cookieName = "carolina.sid") {
    this.cookieName = cookieName;
  }

  /** The cookie's value; `undefined` if there is none, or a script cannot read it. */
  get(): string | undefined {
    return read(this.cookieName);
  }

  /** The marker, `session.user`: the first part changes with the session, the second with its user. `undefined` without a session. */
  marker(): string | undefined {
    return read(`${this.cookieName}.marker`) || undefined;
  }

  /** Calls a function whenever the cookies may have changed, until the function that it returns is called. */
  watch(changed: () => void): () => void {
    const stops: (() => void)[] = [];
    const listen = (target: Partial<EventTarget> | undefined, event: string): void => {
      target?.addEventListener?.(event, changed);
      stops.push(() => target?.removeEventListener?.(event, changed));
    };
    if (typeof document === "undefined") return () => {};
    const store = (globalThis as { cookieStore?: EventTarget }).cookieStore;
    if (store) {
      listen(store, "change");
    } else {
      const timer = setInterval(changed, POLL_EVERY);
      stops.push(() => clearInterval(timer));
      if (typeof PerformanceObserver !== "undefined") {
        // Reports each request of the page when it has ended.
        const requests = new PerformanceObserver(changed);
        requests.observe({ type: "resource" });
        stops.push(() => requests.disconnect());
      }
    }
    // Browsers stop timers of pages in the background.
    listen(document, "visibilitychange");
    listen(globalThis as Partial<EventTarget>, "pageshow");
    return () => stops.forEach((stop) => stop());
  }
}

function read(wanted: string): string | undefined {
  const cookies = typeof document === "undefined" ? "" : document.cookie;
  for (const cookie of cookies.split(";")) {
    const [name, ...value] = cookie.trim().split("=");
    if (name === wanted) return decode(value.join("="));
  }
  return undefined;
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
