import { eventually } from "@sallyport/testkit";
import type { Fleet } from "../../tools/demo/fleet.ts";

const MUTATIONS = {
  GATEWAY_CERTIFICATE: ["rotateGatewayCertificates", "RotateGatewaysInput"],
  ISSUING_AUTHORITY: ["rotateIssuingAuthority", "RotationInput"],
  ROOT_AUTHORITY: ["rotateRootAuthority", "RotationInput"],
  PRE_SHARED_KEY: ["rotatePreSharedKeys", "RotatePreSharedKeysInput"],
} as const;
const ROTATION = `query rotation($id: ID!) { rotation(id: $id) { state failure
  items(first: 10) { edges { node { name state step waitingFor } } } } }`;

interface Shown {
  readonly state: string;
  readonly failure: string | null;
  readonly items: {
    readonly edges: readonly {
      readonly node: { readonly state: string; readonly step: string; readonly waitingFor: string | null };
    }[];
  };
}

/** A rotation as an operator begins, watches and steers it. */
export class Rotation {
  private constructor(
    private readonly fleet: Fleet,
    private readonly id: string,
  ) {}

  static async begin(fleet: Fleet, kind: keyof typeof MUTATIONS, input: object): Promise<Rotation> {
    const [mutation, type] = MUTATIONS[kind];
    const text = `mutation begin($input: ${type}!) { made: ${mutation}(input: $input) { id } }`;
    const { made } = await fleet.controlPlane.api.run<{ made: { id: string } }>(text, { input });
    return new Rotation(fleet, made.id);
  }

  /** Its first item has done what this step does, which is not confirmed yet. */
  performed(step: string): Promise<void> {
    return this.#until(`it waits at ${step}`, ({ items }) => {
      const { step: at, waitingFor } = items.edges[0]?.node ?? {};
      return at === step && typeof waitingFor === "string";
    });
  }

  done(): Promise<void> {
    return this.#until("it is done", ({ state }) => state === "DONE");
  }

  async steer(how: "pauseRotation" | "resumeRotation"): Promise<void> {
    await this.fleet.controlPlane.api.run(`mutation steer($id: ID!) { ${how}(id: $id) { id } }`, { id: this.id });
  }

  async #until(what: string, is: (rotation: Shown) => boolean): Promise<void> {
    await eventually(
      what,
      async () => {
        const { rotation } = await this.fleet.controlPlane.api.run<{ rotation: Shown }>(ROTATION, { id: this.id });
        if (!is(rotation)) throw new Error(`it is ${JSON.stringify(rotation)}`);
        return true;
      },
      150_000,
    );
  }
}
