import { createAuthority, eventually } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import { type Case, calling, inNamesOnly, TLS_12, TLS_13, USER, type Way } from "./eap-lab.js";
import { credential, type LibreswanCase, libreswanCable, libreswanCase, libreswanSetup } from "./libreswan-lab.js";
import { scenario } from "./scenario.js";

const NS = { ours: "sp-leap-ours", theirs: "sp-leap-theirs" };
const authority = await createAuthority("EAP lab", "rsa");
const [server, user] = await Promise.all([authority.issue("theirs.test", "rsa"), authority.issue(USER, "rsa")]);

const plain = (n: number, id: string, tls: Way["tls"] = TLS_12) => calling(server, n, id, { method: "tls", tls });
/** `leftauth`: how libreswan proves itself besides. */
const caseOf = (n: number, { it, intent }: Case, leftauth: "rsasig" | "eaponly"): LibreswanCase =>
  libreswanCase(n, it.id, {
    tunnel: it,
    connection: () => intent,
    settings: {
      authby: undefined,
      leftauth,
      leftautheap: "tls",
      leftcert: "server",
      rightauth: "eaponly",
      rightautheap: "tls",
      rightid: "@laptop.test",
    },
  });
const C = {
  beside: caseOf(1, plain(1, "beside"), "rsasig"),
  alone: caseOf(2, inNamesOnly(plain(2, "alone"), "peer"), "eaponly"),
  later: caseOf(3, plain(3, "later", TLS_13), "rsasig"),
};
const CASES = Object.values(C);

const lab = againstLibreswan(NS, libreswanCable(NS, CASES)).forFile(() =>
  libreswanSetup(
    CASES,
    {
      authorities: [{ name: "root", certificate: authority.certificate, trusted: true }],
      credentials: [credential("server", server)],
    },
    { own: user, authority },
  ),
);

describe("EAP-TLS, libreswan", () => {
  for (const [c, how] of [
    [C.beside, "which proves itself by a certificate in IKE too"],
    [C.alone, "which proves itself by EAP alone"],
  ] as const) {
    scenario(
      { proves: c === C.alone ? [20, 32] : 20, peer: "libreswan", role: "initiator" },
      `lets us into libreswan, ${how}`,
      async () => {
        const { tunnel: t } = c;
        await lab.pair.up(t, "ours");
        const { ours } = await lab.pair.both(t);
        expect(ours).toMatchObject({ initiator: true, remoteId: "theirs.test" });
        expect(await lab.pair.ping(t, 10)).toMatchObject({ received: 10 });
      },
      120_000,
    );
  }

  scenario(
    { proves: [14, 20], peer: "libreswan", role: "initiator" },
    "of TLS 1.3 libreswan has not the last word (RFC 9190 §2.5), which we say",
    async () => {
      const { tunnel: t } = C.later;
      await lab.pair.up(t, "ours").catch(() => undefined);
      const error = await eventually("it says why", async () => (await lab.agent.peer(t.id)).lastError ?? undefined);
      expect(error).toMatchObject({ code: "ike/eap-malformed", message: expect.stringContaining("tlsData") });
      await lab.agent.ask("down", { tunnel: t.id });
      expect((await lab.agent.peer(t.id)).sas.filter((sa) => sa.state === "established")).toEqual([]);
    },
    120_000,
  );
});
