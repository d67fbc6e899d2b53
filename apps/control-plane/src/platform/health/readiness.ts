import { Injectable } from "@nestjs/common";
import { Database } from "../database/database.js";

/** Whether this replica should get requests. */
@Injectable()
export class Readiness {
  #state: "starting" | "started" | "stopping" = "starting";

  constructor(private readonly database: Database) {}

  started(): void {
    this.#state = "started";
  }

  /** Load balancers stop sending before connections are closed. */
  stopping(): void {
    this.#state = "stopping";
  }

  /** Undefined when ready, else why not. */
  async obstacle(): Promise<string | undefined> {
    if (this.#state !== "started") return this.#state;
    return this.database.check().then(
      () => undefined,
      () => "the database does not answer",
    );
  }
}
