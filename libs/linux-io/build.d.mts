/** Where the built add-on lies. */
export const addonFile: string;
/** Builds the add-on when it is missing or older than a source file; resolves to whether it was built. */
export function buildAddon(options?: { compiler?: string; force?: boolean }): Promise<boolean>;
