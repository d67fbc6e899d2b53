import { promisify } from "node:util";
import koffi, { type LibraryHandle } from "koffi";
import { CKF, CKR, FUNCTIONS, nameOf } from "./constants.js";
import { fault } from "./faults.js";
import { Arena, functionAt, wordIn } from "./memory.js";

type FunctionName = keyof typeof FUNCTIONS;
type Argument = number | bigint | null;
type Native = (...args: Argument[]) => Promise<number>;

/** Modules by their file, for as long as the process lives: a library that nobody refers to is unloaded, functions and all. */
const LOADED = new Map<string, LibraryHandle>();

/** A PKCS#11 module that was loaded. Every call runs on a thread of its own, so that a slow token holds nobody up. */
export class Cryptoki {
  readonly #functions = new Map<FunctionName, Native>();

  private constructor(list: bigint) {
    for (const [name, [index, types]] of Object.entries(FUNCTIONS)) {
      const native = koffi.decode(functionAt(list, index), koffi.proto("ulong", [...types]));
      this.#functions.set(name as FunctionName, promisify(native.async) as Native);
    }
  }

  /** @throws pkcs11/bad-module */
  static async load(file: string): Promise<Cryptoki> {
    const bad = (why: string, cause?: unknown) =>
      fault("pkcs11/bad-module", `${file}: ${why}`, {
        field: "module",
        value: file,
        expected: "the path of a PKCS#11 module (a shared library)",
        ...(cause === undefined ? {} : { cause }),
      });
    const arena = new Arena();
    try {
      let list: bigint;
      try {
        // Deep: a module that is linked with OpenSSL must call its own and not the one inside Node.
        const library = LOADED.get(file) ?? koffi.load(file, { deep: true });
        LOADED.set(file, library);
        const pointer = arena.words(0);
        const got = library.func("C_GetFunctionList", "ulong", ["void *"])(pointer.address);
        list = BigInt(wordIn(pointer.octets, 0));
        if (got !== CKR.OK || list === 0n) throw bad(`C_GetFunctionList gave ${nameOf(got)}`);
      } catch (cause) {
        throw bad("cannot be loaded", cause);
      }
      const module = new Cryptoki(list);
      const initialized = await module.value("C_Initialize", arena.words(0, 0, 0, 0, CKF.OS_LOCKING_OK, 0).address);
      if (initialized !== CKR.OK && initialized !== CKR.CRYPTOKI_ALREADY_INITIALIZED) {
        throw bad(`C_Initialize gave ${nameOf(initialized)}`);
      }
      return module;
    } finally {
      arena.free();
    }
  }

  /** What a function returns. */
  value(name: FunctionName, ...args: readonly Argument[]): Promise<number> {
    const native = this.#functions.get(name) as Native;
    return native(...args);
  }

  /** @throws pkcs11/failed with the name of what it returned, unless that is CKR_OK */
  async call(name: FunctionName, ...args: readonly Argument[]): Promise<void> {
    const value = await this.value(name, ...args);
    if (value !== CKR.OK) throw failed(name, value);
  }
}

export function failed(what: string, value: number) {
  return fault("pkcs11/failed", `${what}: ${nameOf(value)}`, { value: nameOf(value) });
}
