/** What has to be taken down, last made first. Every step is tried; what failed is said at the end. */
export class Undo {
  readonly #steps: { readonly what: string; readonly run: () => Promise<unknown> | unknown }[] = [];

  add(what: string, run: () => Promise<unknown> | unknown): void {
    this.#steps.push({ what, run });
  }

  /** Resolves to the steps that failed, in plain words. Running it again does nothing. */
  async run(): Promise<string[]> {
    const failed: string[] = [];
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (error) {
        failed.push(`${step.what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return failed;
  }
}
