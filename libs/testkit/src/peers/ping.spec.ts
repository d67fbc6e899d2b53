import { evaluate } from "./ping.js";

const printed = (transmitted: number, ...answered: readonly number[]) =>
  [
    ...answered.map((n) => `64 bytes from 10.1.2.1: icmp_seq=${n} ttl=64 time=1.05 ms`),
    `${transmitted} packets transmitted, ${answered.length} received, 0% packet loss, time 99ms`,
    "rtt min/avg/max/mdev = 0.415/1.050/2.797/0.426 ms",
  ].join("\n");

describe("what ping says", () => {
  it("counts no request beyond those that were asked for, which ping sends while it waits for late replies", () => {
    expect(evaluate(printed(13, 1, 2, 3, 4, 5), 10, 5)).toEqual({
      sent: 5,
      received: 5,
      lossPct: 0,
      rttMs: 1.05,
      longestGapMs: 0,
    });
  });

  it("takes no reply to a later request for one that never came", () => {
    expect(evaluate(printed(6, 1, 2, 4, 5, 6), 10, 5)).toMatchObject({ sent: 5, received: 4, longestGapMs: 10 });
    expect(evaluate(printed(200), 10, 5)).toMatchObject({ sent: 5, received: 0, lossPct: 100 });
  });

  it("forgives requests that were on the way when a living path's ping was stopped, and no others", () => {
    expect(evaluate(printed(5, 1, 3), 20, undefined, true)).toMatchObject({ sent: 3, received: 2 });
    expect(evaluate(printed(5, 1, 3), 20)).toMatchObject({ sent: 5, received: 2 });
  });
});
