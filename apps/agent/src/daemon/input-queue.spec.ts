import { IpAddress } from "@sallyport/base";
import type { Input } from "@sallyport/ike";
import { InputQueue, QUEUE_LIMITS } from "./input-queue.js";

const HERE = { address: IpAddress.parse("192.0.2.1"), port: 500 };
const datagram = (n: number): Input => ({
  on: "datagram",
  now: n,
  local: HERE,
  remote: HERE,
  datagram: Uint8Array.of(n),
});
const timer = (n: number): Input => ({ on: "timer", now: n, timer: n });

function drained(queue: InputQueue): Input[] {
  const out: Input[] = [];
  for (let next = queue.shift(); next; next = queue.shift()) out.push(next.input);
  return out;
}

it("gives inputs in their order, strangers after them, and one now and then between", () => {
  const queue = new InputQueue();
  for (let n = 0; n < 3; n++) queue.offerStranger(datagram(100 + n));
  for (let n = 0; n < 20; n++) queue.push(timer(n));
  const order = drained(queue).map((input) => input.now);
  expect(order.filter((n) => n < 100)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(order.filter((n) => n >= 100)).toEqual([100, 101, 102]);
  expect(order.indexOf(100)).toBe(8);
  expect(order.indexOf(101)).toBe(17);
  expect(queue).toHaveLength(0);
});

it("bounds what one IKE SA may have waiting, and gives the room back", () => {
  const queue = new InputQueue();
  const offer = (owner: number, count: number) =>
    Array.from({ length: count }, (_, n) => queue.offer(datagram(n), owner)).filter((taken) => taken).length;
  expect(offer(1, 100)).toBe(QUEUE_LIMITS.ofOneSa);
  expect(offer(2, 10)).toBe(10);
  drained(queue);
  expect(offer(1, 100)).toBe(QUEUE_LIMITS.ofOneSa);
});

it("bounds datagrams of all IKE SAs and of strangers apart, and no other input", () => {
  const queue = new InputQueue();
  let taken = 0;
  for (let sa = 1; sa <= 200; sa++) for (let n = 0; n < 40; n++) if (queue.offer(datagram(n), sa)) taken++;
  expect(taken).toBe(QUEUE_LIMITS.datagrams);
  for (let n = 0; n < 1000; n++) queue.offerStranger(datagram(n));
  for (let n = 0; n < 5000; n++) queue.push(timer(n));
  expect(queue).toHaveLength(QUEUE_LIMITS.datagrams + QUEUE_LIMITS.ofStrangers + 5000);
});
