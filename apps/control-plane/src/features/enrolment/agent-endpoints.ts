import { hostname, networkInterfaces } from "node:os";
import { Inject, Injectable } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";

const MAX_URLS = 8;

/** Where agents reach this control plane: what the configuration says, else what the listener's address lets on. */
@Injectable()
export class AgentEndpoints {
  #boundPort: number | undefined;

  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /** The listener tells its port, which the configuration may leave to the system. */
  bound(port: number): void {
    this.#boundPort = port;
  }

  /** `https://host:port`, by preference, at least one. */
  urls(): readonly string[] {
    const { agentsUrls, agentsListen } = this.config;
    if (agentsUrls.length > 0) return agentsUrls.slice(0, MAX_URLS);
    const port = this.#boundPort ?? agentsListen.port;
    const anywhere = agentsListen.host === "0.0.0.0" || agentsListen.host === "::";
    const hosts = anywhere ? ownAddresses() : [agentsListen.host];
    return hosts.slice(0, MAX_URLS).map((host) => `https://${host.includes(":") ? `[${host}]` : host}:${port}`);
  }
}

function ownAddresses(): string[] {
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((a) => !a.internal && !a.scopeid)
    .map((a) => a.address);
  return outside.length > 0 ? outside : [hostname()];
}
