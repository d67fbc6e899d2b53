import type { Command } from "@sallyport/contract";
import type { GatewayIntent } from "@sallyport/intent";
import { readCertificate } from "@sallyport/pki";
import { ChallengeResponder, keyName } from "../certify/index.js";
import { fault } from "../faults.js";
import type { Daemon } from "./daemon.js";

type Action = NonNullable<Command["action"]>;

/** Carries out what the control plane asks for at once. */
export class RemoteCommands {
  readonly #challenges: ChallengeResponder;

  constructor(
    private readonly daemon: Daemon,
    private readonly useControlCertificate: (chain: readonly Uint8Array[]) => Promise<void>,
  ) {
    this.#challenges = new ChallengeResponder(daemon.log);
  }

  /** Gives what the command asks for, if it asks for anything. What it throws is the command's result. */
  async run(action: Action): Promise<Uint8Array | undefined> {
    const { gateway } = this.daemon;
    switch (action.case) {
      case "requestCertificate":
        return this.daemon.requested.request(action.value, namedKeys(gateway.intent));
      case "presentChallenge":
        await this.#challenges.present(action.value);
        return undefined;
      case "withdrawChallenge":
        await this.#challenges.withdraw(action.value.token);
        return undefined;
      case "initiate":
      case "terminate":
      case "rekey": {
        const peer = gateway.tunnel(action.value.tunnelId);
        await gateway[action.case](peer, action.value.childId || undefined);
        return undefined;
      }
      case "reauthenticate":
        gateway.reauthenticate(gateway.tunnel(action.value.tunnelId));
        return undefined;
      case "useControlCertificate":
        await this.useControlCertificate(action.value.chain);
        return undefined;
      default:
        throw fault("agent/unknown-command", "this agent does not know the command", { field: "action" });
    }
  }

  close(): Promise<void> {
    return this.#challenges.close();
  }
}

/** Keys of the certificates that an intent brings. */
export function namedKeys(intent: GatewayIntent | undefined): ReadonlySet<string> {
  const locals = (intent?.connections ?? []).flatMap(({ local, localRounds = [] }) => [local, ...localRounds]);
  const named = [
    ...(intent?.certificate ? [intent.certificate] : []),
    ...locals.flatMap((local) => (local.method === "certificate" ? (local.certificates ?? []) : [])),
  ];
  return new Set(
    named.flatMap(({ leaf }) => (leaf === undefined ? [] : keyName(readCertificate(Buffer.from(leaf, "base64")).spki))),
  );
}
