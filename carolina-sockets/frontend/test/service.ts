// Starts the real service that the tests talk to: the program `test-node` of the Rust workspace, built beforehand.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    program: string;
  }
}

/** Starts the service on a free port, with these settings. */
export async function start(program: string, settings: Record<string, string> = {}): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(program, [], {
    env: { ...process.env, CAROLINA_BIND: "127.0.0.1:0", RUST_LOG: "error", ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(server.stdout)) {
    const url = /^listening on (.*)$/.exec(line)?.[1];
    if (url) return { server, url };
  }
  throw new Error(`${program} did not start`);
}

const folder = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../../target", import.meta.url));

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const program = `${folder}/debug/test-node`;
  if (!existsSync(program)) throw new Error(`${program} is missing: run \`cargo build --workspace --all-features\` first`);
  const { server, url } = await start(program);
  project.provide("url", url);
  project.provide("program", program);
  return async () => {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
  };
}
