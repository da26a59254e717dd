// The documents of a YAML file, as JSON: node yaml.mjs FILE
import { readFileSync } from "node:fs";
import { loadAll } from "js-yaml";

console.log(JSON.stringify(loadAll(readFileSync(process.argv[2], "utf8"))));
