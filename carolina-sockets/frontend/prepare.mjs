// Builds the package when npm installs it from its folder. npm does not install the dependencies of such a package first, so that in a
// fresh copy of the repository the compiler is missing: then they are installed here.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL(".", import.meta.url));
// The options of the installation that this is part of are not meant for this one, except how the registry is reached.
const isOwn = (name) => !/^npm_/i.test(name) || /^npm_config_(cache|registry|.*proxy|cafile|ca|strict_ssl|userconfig|prefer_offline|offline)$/i.test(name);
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => isOwn(name)));
const npm = (...words) => execFileSync("npm", words, { cwd, env, stdio: ["ignore", "inherit", "inherit"], shell: process.platform === "win32" });

if (!existsSync(`${cwd}/node_modules/typescript`)) npm("ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund");
npm("run", "build");
