import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const KEPT = path.join(import.meta.dirname, "corpus");

/** Kept inputs of a target: one in base64 a line, sorted, so that a change is a readable diff. */
const file = (target: string) => path.join(KEPT, `${target}.txt`);

export async function keptInputs(target: string): Promise<Buffer[]> {
  const text = await readFile(file(target), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line ? [Buffer.from(line, "base64")] : []));
}

export async function keep(target: string, inputs: readonly Buffer[]): Promise<void> {
  const lines = [...new Set(inputs.map((input) => input.toString("base64")))].filter((line) => line !== "");
  await mkdir(KEPT, { recursive: true });
  await writeFile(file(target), `${lines.sort().join("\n")}\n`);
}

/** Lays the kept inputs out as files, the form that the fuzzer takes. */
export async function layOutInputs(target: string, folder: string): Promise<number> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const inputs = await keptInputs(target);
  for (const input of inputs) {
    await writeFile(path.join(folder, createHash("sha1").update(input).digest("hex")), input);
  }
  return inputs.length;
}

export async function inputsIn(folder: string): Promise<Buffer[]> {
  const names = await readdir(folder).catch(() => []);
  return Promise.all(names.map((name) => readFile(path.join(folder, name))));
}
