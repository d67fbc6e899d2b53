/** Says on standard error what the set-up does, one plain line each, so that standard output stays the command's own. */
export const say = (text) => console.error(`setup: ${text}`);
