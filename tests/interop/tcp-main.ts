import { connect, createServer } from "node:net";

/**
 * `tcp-main.ts serve PORT` reads each connection to its end and answers with as much; `tcp-main.ts send SOURCE ADDRESS PORT OCTETS` sends,
 * and prints how much came back. What is printed first, `ready` or the number, is all that is.
 */
const [task, ...words] = process.argv.slice(2);

function serve(port: number): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let octets = 0;
    socket.on("data", (chunk) => {
      octets += chunk.length;
    });
    socket.on("end", () => socket.end(Buffer.alloc(octets, 7)));
    socket.on("error", () => socket.destroy());
  });
  server.listen(port, () => console.log("ready"));
}

function send(localAddress: string, host: string, port: number, octets: number): void {
  let returned = 0;
  const socket = connect({ host, port, localAddress, allowHalfOpen: true }, () => socket.end(Buffer.alloc(octets, 7)));
  socket.on("data", (chunk) => {
    returned += chunk.length;
  });
  socket.on("close", () => console.log(returned));
  socket.on("error", (error) => console.error(error.message));
}

if (task === "serve") serve(Number(words[0]));
else send(words[0] ?? "", words[1] ?? "", Number(words[2]), Number(words[3]));
