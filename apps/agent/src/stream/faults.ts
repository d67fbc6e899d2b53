import { faultTable } from "@sallyport/base";

/** Faults of the stream to the control plane; what the control plane refuses comes as its own fault. */
export const fault = faultTable({
  /** An intent whose hash, schema or revision is not what the message says. */
  "stream/bad-intent": { retry: false, expose: true },
  "stream/unreachable": { retry: true, expose: true },
  /** The connection stood and nothing came over it. */
  "stream/silent": { retry: true, expose: true },
  /** The control plane ended the stream. */
  "stream/goodbye": { retry: true, expose: true },
});
