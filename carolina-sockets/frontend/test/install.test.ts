// The package installed by its path from a fresh copy of the repository, and bundled by Vite and webpack: the application in `app`.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

/** A text that is once in the official client. */
const CLIENT = "xhr poll error";

const here = fileURLToPath(new URL("..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "front-end-"));
const app = join(copy, "test", "app");

async function npm(...words: string[]): Promise<void> {
  // Not what npm tells the scripts that it runs, such as this test.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  await promisify(execFile)("npm", words, { cwd: app, env }).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`npm ${words.join(" ")}:\n${error.stdout}\n${error.stderr}`);
  });
}

/** How often the official client is in the scripts of a folder. */
function clients(folder: string): number {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"));
  return scripts.map((name) => readFileSync(join(folder, name), "utf8").split(CLIENT).length - 1).reduce((sum, count) => sum + count, 0);
}

beforeAll(() => {
  // As it is in the repository: nothing installed, nothing built.
  const own = ["README.md", "package.json", "package-lock.json", "prepare.mjs", "src", "tsconfig.json", "tsconfig.build.json"];
  for (const name of own) cpSync(join(here, name), join(copy, name), { recursive: true });
  const filter = (from: string): boolean => !/(node_modules|dist)$/.test(from);
  cpSync(join(here, "test", "app"), app, { recursive: true, filter });
});

afterAll(() => rmSync(copy, { recursive: true }));

test("installed by its path, it is typed, and the official client is bundled once", { timeout: 300_000 }, async () => {
  await npm("ci", "--prefer-offline", "--no-audit", "--no-fund");
  await npm("run", "types");
  await npm("run", "vite");
  expect(clients(join(app, "dist", "assets"))).toBe(1);
  await npm("run", "webpack");
  expect(clients(join(app, "dist", "webpack"))).toBe(1);
});

test("installed by its path as a link, it is bundled too", { timeout: 300_000 }, async () => {
  for (const built of ["node_modules", "dist"]) rmSync(join(copy, built), { recursive: true, force: true });
  await npm("install", "--install-links=false", "--no-package-lock", "--prefer-offline", "--no-audit", "--no-fund");
  await npm("run", "vite");
  await npm("run", "webpack");
});
