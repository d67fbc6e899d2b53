import tls, { type DetailedPeerCertificate } from "node:tls";
import { CONTROL_PLANE_NAME } from "@sallyport/contract";
import { toPem, verifyPinned } from "@sallyport/pki";
import { fault } from "./faults.js";

const CONNECT_MS = 4_000;
const MAX_CHAIN = 8;

/** Host and port to dial for `https://host:port`. */
export function dialled(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 443 : Number(port) };
}

/**
 * The root (PEM) that `pin` names and that vouches for the control plane at `url`. Only a handshake is made: nothing is sent over a
 * connection that is not verified, the token least of all.
 * @throws pki/pin-mismatch and other pki/*, enrol/unreachable
 */
export async function findPinnedRoot(url: string, pin: Uint8Array): Promise<string> {
  const chain = await presentedChain(url);
  const root = verifyPinned(chain, pin, CONTROL_PLANE_NAME, Date.now());
  return toPem("CERTIFICATE", root.der);
}

function presentedChain(url: string): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      ...dialled(url),
      servername: CONTROL_PLANE_NAME,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
    });
    const unreachable = (cause: Error) => {
      socket.destroy();
      reject(
        fault("enrol/unreachable", `${url} does not answer: ${cause.message}`, { field: "token", value: url, cause }),
      );
    };
    socket.setTimeout(CONNECT_MS, () => unreachable(new Error(`no answer within ${CONNECT_MS} ms`)));
    socket.once("error", unreachable);
    socket.once("secureConnect", () => {
      const chain: Uint8Array[] = [];
      let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (at?.raw !== undefined && chain.length < MAX_CHAIN) {
        chain.push(Uint8Array.from(at.raw));
        at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
  });
}
