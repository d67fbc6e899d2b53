import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from "@nestjs/common";
import { GqlExecutionContext } from "@nestjs/graphql";
import { type Fault, isFault, Repeats } from "@sallyport/base";
import type { GraphQLResolveInfo } from "graphql";
import { catchError, type Observable } from "rxjs";
import { RefusalAudit } from "../../platform/auth/refusal-audit.js";
import { Database } from "../../platform/database/database.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService, isSecretName } from "./audit.service.js";
import { REFUSAL_LIMITS, refusalEntry } from "./refusal.js";

/** Refusals by what the organization permits, as against slips of the pen. */
const AUDITED = /^((pki|certificates|pool|handover)\/|intent\/overlap$|api\/forbidden$)/;
/** Callers whose refusals are counted; whoever was refused longest ago is forgotten first. */
const MOST_CALLERS = 1_000;
const MAX_TEXT = 200;

/** Mutations that are refused leave an entry too, in a transaction of their own: theirs has come to nothing. */
@Injectable()
export class RefusedMutations extends RefusalAudit implements NestInterceptor {
  readonly #callers = new Map<string, Repeats>();

  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
    @Inject(LOG) private readonly log: Log,
  ) {
    super();
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      catchError(async (error: unknown) => {
        if (isFault(error)) await this.refused(context, error);
        throw error;
      }),
    );
  }

  /** Interceptors do not see what a guard throws, so it says so itself. */
  override async refused(context: ExecutionContext, fault: Fault): Promise<void> {
    if (context.getType<string>() !== "graphql" || !AUDITED.test(fault.code)) return;
    const graphql = GqlExecutionContext.create(context);
    const { tenant } = graphql.getContext<GraphQLRequestContext>();
    const { parentType, fieldName } = graphql.getInfo<GraphQLResolveInfo>();
    if (tenant && parentType.name === "Mutation") await this.#record(tenant, fieldName, fault);
  }

  async #record(context: TenantContext, mutation: string, { code, field, value }: Fault): Promise<void> {
    const { organizationId, actor } = context;
    const caller = actor.id ?? actor.name;
    const shown = value === undefined || isSecretName(field ?? "") ? null : value.slice(0, MAX_TEXT);
    const repeated = this.#of(`${organizationId} ${caller}`).add(
      `${mutation} ${code}`,
      `${field} ${shown}`,
      Date.now(),
    );
    // What would be its target may not exist, or be another's.
    if (!repeated || actor.id === undefined) return;
    const action = `refuse${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}`;
    const target = { kind: actor.kind, id: actor.id };
    const refusal = { action, target, code, who: actor.name, facts: { field, value: shown } };
    try {
      await this.database.transaction((tx) => this.audit.record(tx, context, refusalEntry(refusal, repeated)));
    } catch (err) {
      this.log.error({ err, mutation, code }, "a refusal could not be written into the audit log");
    }
  }

  #of(caller: string): Repeats {
    const known = this.#callers.get(caller) ?? new Repeats(REFUSAL_LIMITS);
    this.#callers.delete(caller);
    this.#callers.set(caller, known);
    for (const oldest of this.#callers.keys()) {
      if (this.#callers.size <= MOST_CALLERS) break;
      this.#callers.delete(oldest);
    }
    return known;
  }
}
