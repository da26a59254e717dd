/** The error of a request, of joining a channel, or of being removed from one. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
  /**
   * For programs: one of the server's codes, or one of the package's own: `timeout`, `disconnected`, `unreachable`, `page_refused`,
   * `unknown_channel`, `invalid_path`, `already_configured`, `already_connected`.
   */
  readonly code: string;
  /** The server's further details. */
  readonly details: unknown;

  constructor(code: string, message: string, details?: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }

  /** The error in an acknowledgement's body `{ error: { code, message, details? } }`; `undefined` if there is none. */
  static inAnswer(answer: unknown): ChannelError | undefined {
    if (typeof answer !== "object" || answer === null || !("error" in answer)) return undefined;
    return ChannelError.ofBody(answer.error);
  }

  /** The error in a body `{ code, message, details? }`; `undefined` if there is none. */
  static ofBody(body: unknown): ChannelError | undefined {
    if (typeof body !== "object" || body === null) return undefined;
    const { code, message, details } = body as { code?: unknown; message?: unknown; details?: unknown };
    if (typeof code !== "string") return undefined;
    return new ChannelError(code, typeof message === "string" ? message : code, details);
  }

  /** The error of a channel that lets the client not in: the server's code, alone or as `code: message`. */
  static ofRefusal(error: Error): ChannelError {
    if (error.message === "Invalid namespace") return new ChannelError("unknown_channel", "the server has no such channel");
    const [, code = "refused", message = EXPLAINED[code] ?? error.message] = /^([a-z_]+)(?:: (.*))?$/s.exec(error.message) ?? [];
    return new ChannelError(code, message);
  }
}

const EXPLAINED: Record<string, string> = {
  unauthenticated: "log in first",
  forbidden: "you may not join",
};
