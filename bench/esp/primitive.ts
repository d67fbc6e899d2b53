// How fast the cryptography alone is, on one core: the limit that no data plane with this cipher gets past.
import { randomBytes } from "node:crypto";
import { createEsp } from "@sallyport/esp";
import { EspBatch, META, META_WORDS } from "@sallyport/linux-io";

const PACKET = 1400;
const FRONT = 16;
const SLOT = 2048;
const COUNT = 64;

export interface Rate {
  readonly name: string;
  readonly nanosecondsPerPacket: number;
  readonly mbitPerSecond: number;
}

function rate(name: string, packets: number, work: () => void): Rate {
  for (const until = performance.now() + 200; performance.now() < until; ) work();
  let rounds = 0;
  const start = performance.now();
  let spent = 0;
  while (spent < 500) {
    work();
    rounds++;
    spent = performance.now() - start;
  }
  const nanosecondsPerPacket = (spent * 1e6) / (rounds * packets);
  return { name, nanosecondsPerPacket, mbitPerSecond: (PACKET * 8 * 1000) / nanosecondsPerPacket };
}

export function primitives(): Rate[] {
  const parameters = {
    spi: 0x1001,
    encryption: { algorithm: "aes-gcm-16", key: randomBytes(36) },
    esn: false,
  } as const;
  const slab = Buffer.alloc(COUNT * SLOT);
  const meta = new Uint32Array(COUNT * META_WORDS);
  const reset = (at: number, length: number) => {
    for (let i = 0; i < COUNT; i++) {
      meta[i * META_WORDS + META.offset] = i * SLOT + at;
      meta[i * META_WORDS + META.length] = length;
      meta[i * META_WORDS + META.family] = 4;
      meta[i * META_WORDS + META.user] = 0;
    }
  };
  const rates: Rate[] = [];
  const sealing = EspBatch.create({ ...parameters, direction: "out" });
  const opening = EspBatch.create({ ...parameters, direction: "in" });
  const esp = createEsp(parameters);
  const sealed = esp.sealedBytes(PACKET);
  if (sealing && opening) {
    const seal = () => {
      reset(FRONT, PACKET);
      sealing.seal(slab, meta, 0, COUNT, 0, 1);
    };
    rates.push(rate("seal, native", COUNT, seal));
    seal();
    const kept = Buffer.from(slab);
    rates.push(
      // The copy brings the ciphertext back that opening in place has used up; it is a small part of the time.
      rate("open, native", COUNT, () => {
        kept.copy(slab);
        reset(0, sealed);
        opening.open(slab, meta, 0, COUNT);
      }),
    );
  }
  const payload = randomBytes(PACKET);
  const packet = Buffer.alloc(sealed);
  rates.push(rate("seal, JavaScript", 1, () => esp.seal(packet, 0, payload, 4, 0, 1)));
  const kept = Buffer.from(packet);
  rates.push(
    rate("open, JavaScript", 1, () => {
      kept.copy(packet);
      esp.open(packet, 0);
    }),
  );
  return rates;
}
