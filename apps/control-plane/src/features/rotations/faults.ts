import { faultTable } from "@sallyport/base";

export const fault = faultTable({
  /** What is to be rotated is being rotated already. */
  "rotation/under-way": { retry: false, expose: true },
  /** As many schedules as an organization may have are there. */
  "rotation/too-many-schedules": { retry: false, expose: true },
  /** Nothing that is to be rotated was found. */
  "rotation/nothing-to-do": { retry: false, expose: true },
  /** What an operator asks for does not fit the state that the rotation is in. */
  "rotation/wrong-state": { retry: false, expose: true },
  /** A step was not confirmed in time. */
  "rotation/not-confirmed": { retry: false, expose: true },
  /** A gateway refuses what a step asks of it. */
  "rotation/refused": { retry: false, expose: true },
  /** This replica seals under another master key than the one that the rotation is for. */
  "rotation/other-master-key": { retry: true, expose: true },
  /** A rotation that is a step of this one stopped, or came to nothing. */
  "rotation/part-failed": { retry: false, expose: true },
  /** What was to be rotated is there no more. */
  "rotation/subject-gone": { retry: false, expose: true },
  /** An operator or another replica was faster: the step is not to be carried out. */
  "rotation/overtaken": { retry: true, expose: false },
});
