/** What a person is told who gets nothing. */
export interface Refusal {
  readonly status: number;
  readonly title: string;
  readonly advice: string;
}

const NEW_LINK = "Ask whoever sent it to you for a new one.";

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "handover/unknown-link": {
    status: 404,
    title: "There is no such link",
    advice: `It may have been cut off on its way. ${NEW_LINK}`,
  },
  "handover/used": {
    status: 410,
    title: "This link was used",
    advice: `What it led to was collected before, and can be collected once only. If that was not you, say so at once. ${NEW_LINK}`,
  },
  "handover/expired": { status: 410, title: "This link has expired", advice: NEW_LINK },
  "handover/withdrawn": { status: 410, title: "This link was withdrawn", advice: NEW_LINK },
  "handover/revoked": {
    status: 410,
    title: "This link is worthless",
    advice: `Its certificate was revoked. ${NEW_LINK}`,
  },
  "handover/files-gone": {
    status: 410,
    title: "These files are gone",
    advice: `They are for the browser that collected them, for ten minutes. ${NEW_LINK}`,
  },
  "handover/not-offered": {
    status: 400,
    title: "Nothing for this device",
    advice: "This link has nothing for such a device. Go back and choose another one.",
  },
  "handover/not-a-user": {
    status: 403,
    title: "No access",
    advice: "This service does not let you in any more. Ask whoever sent you the link.",
  },
  "api/too-many-attempts": { status: 429, title: "Too many attempts", advice: "Wait a minute and try again." },
};

const CHANGED: Refusal = {
  status: 409,
  title: "This does not work now",
  advice: `The gateway is no longer as it was when the link was made. ${NEW_LINK}`,
};
const UNEXPECTED: Refusal = {
  status: 500,
  title: "Something went wrong",
  advice: "Try again in a while. Nothing was used up.",
};

/** By the fault's code; undefined: what nobody foresaw. */
export const refusalOf = (code: string | undefined): Refusal =>
  code === undefined ? UNEXPECTED : (REFUSALS[code] ?? CHANGED);
