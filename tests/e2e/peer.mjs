// One request over TLS: node peer.mjs URL METHOD. Prints, as a line of JSON, who has issued the server's certificate, and what of the
// response matters here. The certificate is not checked.
import { request } from "node:https";

const [url, method] = process.argv.slice(2);
const sent = request(url, { method, rejectUnauthorized: false, agent: false }, (response) => {
  const { issuer } = response.socket.getPeerCertificate();
  const { "strict-transport-security": hsts = null, "set-cookie": cookies = [] } = response.headers;
  console.log(JSON.stringify({ issuer: issuer.CN, status: response.statusCode, hsts, cookies, protocol: response.socket.getProtocol() }));
  response.resume();
});
sent.on("error", (error) => {
  console.log(JSON.stringify({ error: error.message }));
});
sent.end();
