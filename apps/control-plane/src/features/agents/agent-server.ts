import { readFileSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { TLSSocket } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import {
  type AgentMessage,
  AgentService,
  type ControlMessage,
  EnrolmentService as EnrolmentRpc,
  MAX_AGENT_MESSAGE_BYTES,
  MAX_CONTROL_MESSAGE_BYTES,
  type RenewRequest,
  type RenewResponse,
  RenewResponseSchema,
  toConnectError,
} from "@sallyport/contract";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { CertificateService } from "../certificates/certificate.service.js";
import { ServerCertificateService, type ServerCredentials } from "../certificates/server-certificate.service.js";
import { AgentEndpoints } from "../enrolment/agent-endpoints.js";
import { EnrolmentService } from "../enrolment/enrolment.service.js";
import { IntentService } from "../intents/intent.service.js";
import { AgentPeerService, type PresentedCertificate } from "./agent-peer.service.js";
import { AgentSessions } from "./agent-sessions.js";
import { fault } from "./faults.js";

const PRESENTED = createContextKey<{ certificate: PresentedCertificate | undefined; origin: string | undefined }>({
  certificate: undefined,
  origin: undefined,
});
const HANDSHAKE_MS = 5_000;
const IDLE_MS = 60_000;
/** HTTP/2 streams of a connection, and connections. */
const MAX_STREAMS = 16;
const MAX_CONNECTIONS = 20_000;
/** Longest wait that a timer can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Where agents come: gRPC on HTTP/2 under TLS 1.3, one port. A client certificate is asked for and not demanded, since an agent
 * that enrols has none yet; each RPC but that one refuses callers without.
 */
@Injectable()
export class AgentServer implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #connections = new Set<http2.ServerHttp2Session>();
  #server: http2.Http2SecureServer | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #port = 0;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly certificates: CertificateService,
    private readonly serverCertificate: ServerCertificateService,
    private readonly endpoints: AgentEndpoints,
    private readonly enrolments: EnrolmentService,
    private readonly intents: IntentService,
    private readonly peers: AgentPeerService,
    private readonly sessions: AgentSessions,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (this.config.roles.has("agents")) await this.listen();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  /** @throws agents/cannot-listen */
  async listen(): Promise<void> {
    const credentials = await this.serverCertificate.make();
    const adapter = connectNodeAdapter({
      routes: (router) => this.#routes(router),
      connect: false,
      grpcWeb: false,
      readMaxBytes: MAX_AGENT_MESSAGE_BYTES,
      writeMaxBytes: MAX_CONTROL_MESSAGE_BYTES,
      contextValues: (request) => createContextValues().set(PRESENTED, presented(request.socket)),
    });
    const server = http2.createSecureServer(
      {
        ...secureOptions(credentials),
        minVersion: "TLSv1.3",
        requestCert: true,
        rejectUnauthorized: false,
        handshakeTimeout: HANDSHAKE_MS,
        settings: { maxConcurrentStreams: MAX_STREAMS },
      },
      adapter,
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.on("session", (session) => {
      this.#connections.add(session);
      session.setTimeout(IDLE_MS, () => session.close());
      session.on("error", (err) => this.log.debug({ err }, "a connection of an agent broke"));
      session.on("close", () => this.#connections.delete(session));
    });
    server.on("tlsClientError", (err) => this.log.debug({ err }, "a TLS handshake of an agent failed"));
    await this.#bind(server);
    this.#server = server;
    this.sessions.start();
    this.#renewLater(credentials.renewAt);
  }

  /** The port that is bound, 0 before it is. */
  get port(): number {
    return this.#port;
  }

  async close(): Promise<void> {
    clearTimeout(this.#renewal);
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await this.sessions.stop();
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  async #bind(server: http2.Http2SecureServer): Promise<void> {
    const { host, port } = this.config.agentsListen;
    await new Promise<void>((resolve, reject) => {
      // It stays: a listening server tells of connections that it could not accept, e.g. EMFILE, by the same event.
      server.on("error", (cause: NodeJS.ErrnoException) => {
        if (this.#port !== 0) {
          this.log.error({ err: cause }, "the agents' listener has trouble");
          return;
        }
        const why = `agents' listener on ${host}:${port}: ${cause.code ?? cause.message}`;
        reject(
          fault("agents/cannot-listen", why, { field: "SALLYPORT_AGENTS_LISTEN", value: `${host}:${port}`, cause }),
        );
      });
      server.listen(port, host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.endpoints.bound(this.#port);
    this.log.info({ host, port: this.#port }, "agents may connect");
  }

  #renewLater(renewAt: number): void {
    const wait = Math.min(Math.max(renewAt - Date.now(), 60_000), MAX_TIMER_MS);
    this.#renewal = setTimeout(() => {
      this.serverCertificate.make().then(
        (fresh) => {
          this.#server?.setSecureContext(secureOptions(fresh));
          this.#renewLater(fresh.renewAt);
        },
        (err: unknown) => {
          this.log.warn({ err }, "the control plane's certificate could not be renewed; it will be tried again");
          this.#renewLater(0);
        },
      );
    }, wait).unref();
  }

  #routes(router: ConnectRouter): void {
    router.service(EnrolmentRpc, {
      enrol: async (request, context) => {
        try {
          return await this.enrolments.enrol(request, context.values.get(PRESENTED).origin);
        } catch (error) {
          throw this.#refusal(error);
        }
      },
    });
    router.service(AgentService, {
      connect: (requests, context) => this.#connect(requests, context),
      renew: (request, context) => this.#renew(request, context),
    });
  }

  async *#connect(requests: AsyncIterable<AgentMessage>, context: HandlerContext): AsyncGenerator<ControlMessage> {
    try {
      const peer = await this.peers.identify(context.values.get(PRESENTED).certificate);
      yield* this.sessions.run(peer, requests, VERSION);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  async #renew(request: RenewRequest, context: HandlerContext): Promise<RenewResponse> {
    try {
      const peer = await this.peers.identify(context.values.get(PRESENTED).certificate);
      const requests = { identity: request.identityCsr, control: request.controlCsr };
      const gateway = { ...peer, id: peer.gatewayId };
      const chains = await this.database.transaction(async (tx) => {
        const issued = await this.certificates.issue(tx, gateway, requests, { revokeEarlier: false });
        await this.intents.recompile(tx, peer.organizationId);
        return issued;
      });
      return create(RenewResponseSchema, {
        identityChain: [...chains.identity],
        controlChain: [...chains.control],
      });
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown) {
    const refusal = toConnectError(error);
    this.log.info({ err: error, code: refusal.code }, "an agent was refused");
    return refusal;
  }
}

/** Shown to agents and written to their logs. */
const VERSION = (
  JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string }
).version;

function secureOptions({ key, chain, clientRoots }: ServerCredentials) {
  return { key, cert: chain, ca: clientRoots };
}

/** The client's certificate, if TLS found its chain to lead to our root. */
function presented(socket: unknown): { certificate: PresentedCertificate | undefined; origin: string | undefined } {
  const tls = socket as TLSSocket;
  const origin = tls.remoteAddress;
  if (!tls.authorized) return { certificate: undefined, origin };
  const der = tls.getPeerX509Certificate()?.raw;
  return { certificate: der && { der, origin }, origin };
}
