import { EXCHANGE, type Payload, type PeerConfig, peekHeader } from "@sallyport/ike";
import type { ScriptedPeer } from "./scripted-peer.js";
import { childPayloads, SECRET, stage } from "./stage.spec-helper.js";

/** More than two steps work off. */
export const CALLERS = 70;

/** An engine `b` with IKE SAs of many callers, in the order of their calls. */
export function office(more: Partial<PeerConfig> = {}, opening: readonly Payload[] = []) {
  const config: Partial<PeerConfig> = { passive: true, uniqueness: "keep", sasPerIdentity: 10 * CALLERS, ...more };
  const s = stage(1, config);
  let n = 0;
  const call = (peer = s.another(BigInt(1_000 + ++n))): ScriptedPeer => {
    peer.ask(EXCHANGE.IKE_AUTH, peer.authPayloads("a.example", SECRET, [...childPayloads(0x4000 + n), ...opening]));
    return peer;
  };
  const callers = Array.from({ length: CALLERS }, (_, i) => call(i === 0 ? s.peer : undefined));
  if (s.b.established().length !== CALLERS) throw new Error("not all were let in");
  s.asked.length = 0;
  const steps: number[] = [];
  const handle = s.b.engine.handle.bind(s.b.engine);
  s.b.engine.handle = (input) => {
    const effects = handle(input);
    steps.push(effects.filter((e) => e.do === "send" || e.do === "crypto" || e.do === "route").length);
    return effects;
  };
  return {
    ...s,
    call,
    callers,
    config,
    /** How many messages, jobs and questions each step came with since the last time. */
    steps: () => steps.splice(0),
    down: () => s.b.command({ command: "terminate", peer: "a" }),
    /** Answers all Deletes that were sent since the last time; gives how many requests were. */
    answerAll: (): number => {
      const asked = s.asked.splice(0);
      for (const { datagram } of asked) {
        const spi = peekHeader(datagram)?.initiatorSpi;
        const caller = callers.find((c) => c.spi === spi);
        if (caller?.open(datagram).payloads[0]?.kind === "D") caller.answer(datagram, []);
      }
      return asked.length;
    },
  };
}
