import { Inject, Injectable } from "@nestjs/common";
import { CONFIG, type Config } from "./config/config.js";

/** Where people open links: what the configuration says, else where the API listens, which nobody else may reach. */
@Injectable()
export class PublicUrl {
  #listening = "";

  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /** The listener tells its address, whose port the configuration may leave to the system. */
  listening(url: string): void {
    this.#listening = url;
  }

  /** Without a slash at its end. */
  get(): string {
    return this.config.publicUrl ?? this.#listening;
  }
}
