// A handshake as a page of another origin makes it: node page.mjs URL ORIGIN. Prints the status. The certificate is not checked.
import { get } from "node:https";

const [url, origin] = process.argv.slice(2);
get(url, { headers: { origin }, rejectUnauthorized: false, agent: false }, (response) => {
  console.log(response.statusCode);
  response.resume();
});
