// Run by Node in a namespace: web-main.ts DIRECTORY. Serves its files on port 80 until it is ended.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const [directory = ""] = process.argv.slice(2);
createServer((request, response) => {
  readFile(path.join(directory, path.basename(request.url ?? ""))).then(
    (content) => response.writeHead(200, { "content-type": "application/pkix-crl" }).end(content),
    () => response.writeHead(404).end(),
  );
}).listen(80, () => console.log("listens"));
