// Both the package and the official client, which has to be in the bundle once.
import WebSocketsSvc from "carolina-sockets";
import { Manager } from "socket.io-client";

const lab = WebSocketsSvc.channel("/lab");
const own = lab.socket.io instanceof Manager;
const show = (text) => (document.title = text);
lab.request("echo", own).then((same) => show(`echo ${same}`), (error) => show(`${error.code}: ${error.message}`));
