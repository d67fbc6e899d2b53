/** Of what this machine has only one: two stages that use the same never run at the same time. Namespaces of its kernel have fixed names. */
export type Shared = "namespaces";

/** Of a stage, what decides when it runs. */
export interface Place {
  readonly name: string;
  /** Nothing runs beside it: it measures time, or keeps all processors busy by itself. */
  readonly alone?: boolean;
  readonly uses?: readonly Shared[];
  /** Names of stages that have to have ended before, as far as they run at all. */
  readonly after?: readonly string[];
}

/**
 * Runs each stage once, `lanes` of them at a time at most: whenever something changes, the first in the list that may start does.
 * `run` gets the number of its lane, from 0 on, or undefined when it is alone. After `signal` no more are started. Rejects as soon
 * as a run does, and when stages wait for one another.
 */
export async function inLanes<S extends Place>(
  stages: readonly S[],
  lanes: number,
  signal: AbortSignal,
  run: (stage: S, lane: number | undefined) => Promise<void>,
): Promise<void> {
  const waiting = [...stages];
  const running = new Map<S, { readonly lane: number; readonly end: Promise<void> }>();

  const mayStart = (stage: S): boolean => {
    if (signal.aborted || (running.size > 0 && (stage.alone || running.size === lanes))) return false;
    const unfinished = [...waiting, ...running.keys()];
    return (
      !unfinished.some(({ name }) => stage.after?.includes(name)) &&
      ![...running.keys()].some((other) => other.alone || other.uses?.some((thing) => stage.uses?.includes(thing)))
    );
  };
  const freeLane = (): number => {
    const taken = new Set([...running.values()].map(({ lane }) => lane));
    return Array.from({ length: lanes }, (_, lane) => lane).find((lane) => !taken.has(lane)) ?? 0;
  };

  while (waiting.length + running.size > 0) {
    for (let next = waiting.find(mayStart); next; next = waiting.find(mayStart)) {
      const stage = next;
      waiting.splice(waiting.indexOf(stage), 1);
      const lane = freeLane();
      const end = run(stage, stage.alone ? undefined : lane).then(() => void running.delete(stage));
      running.set(stage, { lane, end });
    }
    if (running.size === 0 && signal.aborted) return;
    if (running.size === 0)
      throw new Error(`stages wait for one another: ${waiting.map(({ name }) => name).join(", ")}`);
    await Promise.race([...running.values()].map(({ end }) => end));
  }
}
