import type { Api } from "./control-plane.js";

export const CREATE_POOL = "mutation ($input: CreateAddressPoolInput!) { createAddressPool(input: $input) { id } }";
export const CREATE_GROUP = "mutation ($name: String!) { createRoadWarriorGroup(name: $name) { id name } }";
export const CREATE_PERSON = "mutation ($input: CreateRoadWarriorInput!) { createRoadWarrior(input: $input) { id } }";
export const SET_PASSWORD =
  "mutation ($id: ID!, $password: String) { setRoadWarriorPassword(id: $id, password: $password) { password roadWarrior { passwordSetAt } } }";
export const ASSIGN = "mutation ($input: AssignAddressInput!) { assignAddress(input: $input) { id address } }";

/** Ids of what is made. */
export async function pool(cp: Api, name: string, addresses: string[], exclusions: string[] = []) {
  const input = { name, addresses, exclusions };
  const { createAddressPool } = await cp.get<{ createAddressPool: { id: string } }>(CREATE_POOL, { input });
  return createAddressPool.id;
}

export async function person(cp: Api, username: string, more: object = {}) {
  const input = { name: username, username, ...more };
  const { createRoadWarrior } = await cp.get<{ createRoadWarrior: { id: string } }>(CREATE_PERSON, { input });
  return createRoadWarrior.id;
}
