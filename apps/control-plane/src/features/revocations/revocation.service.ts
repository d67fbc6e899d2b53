import { Injectable } from "@nestjs/common";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { type Progress, RevocationStore, type Telling } from "./revocation.store.js";

/** A part of the register, as an agent that has it up to some number needs it next. */
export interface RegisterPart {
  readonly entries: readonly Revocation[];
  readonly upTo: number;
  /** The agent has to begin anew. */
  readonly anew: boolean;
  readonly more: boolean;
}

export type ConfirmationState = "PENDING" | "CONFIRMED" | "AWAY";

export const confirmationState = ({ confirmedAt, connected }: Telling): ConfirmationState =>
  confirmedAt !== null ? "CONFIRMED" : connected ? "PENDING" : "AWAY";

/** Entries in one message to an agent. */
const PART = 500;

/** The register as agents and operators read it. */
@Injectable()
export class RevocationService {
  constructor(private readonly store: RevocationStore) {}

  /** An agent that says that it has more than there is has another register: the database was put back. */
  async after(organizationId: string, number: number): Promise<RegisterPart> {
    // Read first: every entry up to it is committed.
    const newest = await this.store.newest(organizationId);
    const anew = number === 0 || number > newest;
    const entries = await this.store.between(organizationId, anew ? 0 : number, newest, PART + 1);
    const more = entries.length > PART;
    const shown = entries.slice(0, PART);
    return { entries: shown, upTo: more ? (shown.at(-1)?.number ?? newest) : newest, anew, more };
  }

  /** @throws api/not-found */
  async get(context: TenantContext, rawId: string): Promise<Revocation> {
    const id = checkUuid(rawId, "id");
    const [found] = await this.store.byIds(context.organizationId, [id]);
    if (found) return found;
    const expected = "the id of a revocation";
    throw apiFault("api/not-found", "there is no such revocation", { field: "id", value: id, expected });
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<Revocation>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  /** The last entry about each certificate or person, by its id. */
  async ofSubjects(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Revocation>> {
    const rows = await this.store.ofSubjects(context.organizationId, ids);
    return new Map(rows.map((row) => [row.subjectId, row]));
  }

  /** A page of each revocation's confirmations. @throws api/bad-input */
  async tellings(
    context: TenantContext,
    ids: readonly string[],
    args: PageArgs,
  ): Promise<ReadonlyMap<string, Connection<Telling>>> {
    let rows: ReadonlyMap<string, Telling[]> | undefined;
    const pageOf = (id: string) =>
      page(args, async (request) => {
        rows ??= Map.groupBy(await this.store.tellings(context.organizationId, ids, request), (t) => t.revocationId);
        return rows.get(id) ?? [];
      });
    const pages = new Map<string, Connection<Telling>>();
    for (const id of ids) pages.set(id, await pageOf(id));
    return pages;
  }

  async progress(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Progress>> {
    const rows = await this.store.progress(context.organizationId, ids);
    return new Map(rows.map((row) => [row.revocationId, row]));
  }
}
