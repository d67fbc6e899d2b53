import type { WriteStream } from "node:tty";

const SPINNER = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];
const WIDTH = 76;

export const seconds = (ms: number) => (ms < 9_950 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`);

/** Tells what happens. On a terminal the running step is a moving line; elsewhere every event is a plain line of its own. */
export class Narrator {
  readonly #out: WriteStream | NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #colour: boolean;
  #running: { title: string; detail: string; since: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
    this.#live = out.isTTY === true && process.env.TERM !== "dumb" && !process.env.CI;
    this.#colour = this.#live && !process.env.NO_COLOR;
  }

  bold = (text: string) => this.#paint("1", text);
  dim = (text: string) => this.#paint("2", text);
  green = (text: string) => this.#paint("32", text);
  red = (text: string) => this.#paint("31", text);
  cyan = (text: string) => this.#paint("36", text);

  title(text: string, subtitle: string): void {
    this.#out.write(`\n${this.bold(text)} ${this.dim(`· ${subtitle}`)}\n\n`);
  }

  /** Runs one step, says how long it took, and gives its result. `detail` says what it is doing at the moment. */
  async step<T>(title: string, run: (detail: (text: string) => void) => Promise<T>): Promise<T> {
    const step = { title, detail: "", since: performance.now() };
    this.#running = step;
    if (this.#live) this.#timer = setInterval(() => this.#draw(), 80);
    try {
      const result = await run((text) => {
        step.detail = text;
        this.#draw();
      });
      this.#finish(this.green("✔"), step.title, performance.now() - step.since);
      return result;
    } catch (error) {
      this.#finish(this.red("✖"), step.title, performance.now() - step.since);
      throw error;
    }
  }

  /** A line that belongs to the step above it. */
  note(label: string, text: string): void {
    this.line(`      ${this.dim(label.padEnd(12))} ${text}`);
  }

  line(text = ""): void {
    this.#clear();
    this.#out.write(`${text}\n`);
    this.#draw();
  }

  #finish(mark: string, title: string, ms: number): void {
    clearInterval(this.#timer);
    this.#clear();
    this.#running = undefined;
    const time = seconds(ms);
    const dots = " ".repeat(Math.max(2, WIDTH - title.length - time.length));
    this.#out.write(`  ${mark} ${title}${dots}${this.dim(time)}\n`);
  }

  #draw(): void {
    const step = this.#running;
    if (!this.#live || !step) return;
    this.#clear();
    this.#frame = (this.#frame + 1) % SPINNER.length;
    const room = Math.max(20, (this.#out.columns ?? 80) - 16);
    const detail = step.detail ? this.dim(` · ${step.detail}`.slice(0, Math.max(0, room - step.title.length))) : "";
    const time = this.dim(seconds(performance.now() - step.since));
    this.#out.write(`  ${this.cyan(SPINNER[this.#frame] ?? "·")} ${step.title}${detail} ${time}`);
  }

  #clear(): void {
    if (this.#live) this.#out.write("\r\x1b[2K");
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
