import type { GatewayIntent, ModeConfigIntent } from "./model.js";

/**
 * The same intent without some people: whose user name (lower case) is the name of a user of EAP or the identity of a caller who is
 * listed. Where nobody but those who are listed gets in, they do not either.
 */
export function withoutPeople(intent: GatewayIntent, usernames: ReadonlySet<string>): GatewayIntent {
  if (usernames.size === 0) return intent;
  const { eapUsers, connections } = intent;
  const stays = (name: string) => !usernames.has(name.toLowerCase());
  const thinned = (config: ModeConfigIntent): ModeConfigIntent => {
    const users = config.users?.filter(({ identity }) => !("value" in identity) || stays(identity.value));
    return users === undefined || users.length === config.users?.length ? config : { ...config, users };
  };
  return {
    ...intent,
    ...(eapUsers && {
      eapUsers: eapUsers.map((set) => ({ ...set, users: set.users.filter(({ name }) => stays(name)) })),
    }),
    connections: connections.map((c) => (c.modeConfig ? { ...c, modeConfig: thinned(c.modeConfig) } : c)),
  };
}
