const CONGESTION = 3;

/**
 * Carries a congestion mark of the outer header over to the inner one (RFC 6040 §4.2). False when the packet has to be
 * dropped: marked outside, but its sender does not listen for marks.
 */
export function admitCongestion(view: DataView, at: number, family: 4 | 6, outerTos: number): boolean {
  if ((outerTos & CONGESTION) !== CONGESTION) return true;
  const inner = family === 4 ? view.getUint8(at + 1) & CONGESTION : (view.getUint8(at + 1) >>> 4) & CONGESTION;
  if (inner === 0) return false;
  if (inner === CONGESTION) return true;
  if (family === 6) {
    view.setUint8(at + 1, view.getUint8(at + 1) | (CONGESTION << 4));
    return true;
  }
  const before = view.getUint16(at);
  const after = before | CONGESTION;
  view.setUint16(at, after);
  // RFC 1624, equation 3.
  let sum = (~view.getUint16(at + 10) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at + 10, ~sum & 0xffff);
  return true;
}
