import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { fault } from "./faults.js";

/** Makes the folder of the agent's state, for its owner alone. */
export async function makeStateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unwritable(directory, cause);
  }
}

/**
 * Replaces a file as a whole: after a crash at any moment the old content is there or the new one, and the new one once this has
 * resolved. Readable for the owner alone. With `previous`, the old content stays under that name.
 * @throws state/unwritable
 */
export async function replaceFile(file: string, content: string | Uint8Array, previous?: string): Promise<void> {
  const temporary = `${file}.tmp`;
  try {
    await rm(temporary, { force: true });
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (previous !== undefined) await rename(file, previous).catch(unlessMissing);
    await rename(temporary, file);
    const directory = await open(path.dirname(file), "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** Undefined when there is no such file. */
export async function readIfThere(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch(unlessMissing);
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

const unwritable = (file: string, cause: unknown) =>
  fault("state/unwritable", `${file} cannot be written: ${(cause as Error).message}`, { field: file, cause });
