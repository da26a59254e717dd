/** The next event of this name, or an error after five seconds. */
export function next(socket, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), 5_000);
    socket.once(event, (...data) => {
      clearTimeout(timer);
      resolve(data);
    });
  });
}
