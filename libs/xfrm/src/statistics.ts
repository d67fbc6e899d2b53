import { readFile } from "node:fs/promises";

/** Lines of /proc/net/xfrm_stat by their checklist names STAT-01 to STAT-25, in the checklist's order. */
const NAMES: Readonly<Record<string, string>> = {
  XfrmInError: "in-errors",
  XfrmInBufferError: "in-buffer-errors",
  XfrmInHdrError: "in-header-errors",
  XfrmInNoStates: "in-no-states",
  XfrmInStateProtoError: "in-state-protocol-errors",
  XfrmInStateModeError: "in-state-mode-errors",
  XfrmInStateSeqError: "in-state-sequence-errors",
  XfrmInStateExpired: "in-state-expired",
  XfrmInStateMismatch: "in-state-mismatches",
  XfrmInStateInvalid: "in-state-invalid",
  XfrmInTmplMismatch: "in-template-mismatches",
  XfrmInNoPols: "in-no-policies",
  XfrmInPolBlock: "in-policy-blocked",
  XfrmInPolError: "in-policy-errors",
  XfrmOutError: "out-errors",
  XfrmOutBundleGenError: "out-bundle-errors",
  XfrmOutBundleCheckError: "out-bundle-check-errors",
  XfrmOutNoStates: "out-no-states",
  XfrmOutStateProtoError: "out-state-protocol-errors",
  XfrmOutStateModeError: "out-state-mode-errors",
  XfrmOutStateSeqError: "out-state-sequence-errors",
  XfrmOutStateExpired: "out-state-expired",
  XfrmOutPolBlock: "out-policy-blocked",
  XfrmOutPolDead: "out-policy-dead",
  XfrmOutPolError: "out-policy-errors",
};

export function parseStatistics(text: string): Record<string, bigint> {
  const found: Record<string, bigint> = {};
  for (const line of text.split("\n")) {
    const [kernelName = "", value = ""] = line.trim().split(/\s+/);
    const name = NAMES[kernelName];
    if (name && /^\d+$/.test(value)) found[name] = BigInt(value);
  }
  return found;
}

/** Counters of this process's network namespace. Empty when the kernel keeps none. */
export async function readStatistics(): Promise<Record<string, bigint>> {
  return parseStatistics(await readFile("/proc/net/xfrm_stat", "utf8").catch(() => ""));
}
