// The contract's rules: buf lint, and no change that would break an agent or control plane of an older version.
// `--accept` writes a new baseline image; that is done when a version is released, never to silence the check.
import { spawnSync } from "node:child_process";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const cwd = path.join(root, "libs", "contract");

function buf(...args) {
  const { status, error } = spawnSync(path.join(root, "node_modules", ".bin", "buf"), args, { cwd, stdio: "inherit" });
  if (error) throw error;
  return status === 0;
}

const ok = process.argv.includes("--accept")
  ? buf("lint") && buf("build", "--exclude-source-info", "-o", "baseline.binpb")
  : [buf("lint"), buf("breaking", "--against", "baseline.binpb")].every(Boolean);
console.log(`contract: ${ok ? "ok" : "failed"}`);
process.exitCode = ok ? 0 : 1;
