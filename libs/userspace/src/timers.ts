/** setTimeout counts milliseconds in 31 bits. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls `then` after `ms`, however long that is, without keeping the process alive. Returns what cancels it. */
export function after(ms: number, then: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (left: number) => {
    timer = setTimeout(() => (left > LONGEST_MS ? arm(left - LONGEST_MS) : then()), Math.min(left, LONGEST_MS)).unref();
  };
  arm(ms);
  return () => clearTimeout(timer);
}
