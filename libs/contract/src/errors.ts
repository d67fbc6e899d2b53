import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Fault, isFault } from "@sallyport/base";
import { fault } from "./faults.js";
import { FaultDetailSchema } from "./generated/sallyport/agent/v1/enrolment_pb.js";
import { type Problem, ProblemSchema } from "./generated/sallyport/agent/v1/intent_pb.js";

const CODES: Readonly<Record<string, Code>> = {
  "enrolment/token-unknown": Code.Unauthenticated,
  "enrolment/token-expired": Code.Unauthenticated,
  "enrolment/token-used": Code.Unauthenticated,
  "agents/unauthenticated": Code.Unauthenticated,
  "agents/revoked": Code.PermissionDenied,
  "agents/overloaded": Code.ResourceExhausted,
};

/** The RPC error that carries a fault to the other side. What the fault's policy does not expose stays here. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (!isFault(error) || !error.policy.expose) {
    return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
  }
  const code = CODES[error.code] ?? (error.policy.retry ? Code.Unavailable : Code.InvalidArgument);
  const detail = {
    desc: FaultDetailSchema,
    value: { code: error.code, message: error.message, field: error.field ?? "", retry: error.policy.retry },
  };
  return new ConnectError(error.message, code, undefined, [detail], error);
}

/**
 * The fault behind an error of an RPC: the other side's own where it sent one, else `contract/unavailable` (nobody there, worth
 * another try) or `contract/refused`.
 */
export function fromConnectError(error: unknown): Fault {
  if (isFault(error)) return error;
  const connect = ConnectError.from(error);
  const [detail] = connect.findDetails(FaultDetailSchema);
  if (detail !== undefined) {
    const facts = detail.field === "" ? {} : { field: detail.field };
    return new Fault(detail.code, detail.message, { retry: detail.retry, expose: true }, { ...facts, cause: error });
  }
  const lost = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled, Code.Internal, Code.Unknown];
  return lost.includes(connect.code)
    ? fault("contract/unavailable", connect.rawMessage, { cause: error })
    : fault("contract/refused", connect.rawMessage, { cause: error });
}

/** The message form of what went wrong, for a Nack or a CommandResult. */
export function toProblem(error: unknown): Problem {
  if (!isFault(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return create(ProblemSchema, { code: "agent/internal", message });
  }
  return create(ProblemSchema, {
    code: error.code,
    message: error.message,
    field: error.field ?? "",
    value: error.value ?? "",
    expected: error.expected ?? "",
    facts: { ...error.facts },
  });
}
