import { AGENT, CRYPTO, type HostileClass, PKI, SIM, V2, WIRE } from "../guard.ts";

const CONTROL = `${AGENT}/control-socket.spec.ts`;

/** What leaves the engine or never gets there: memory, texts, name servers, the local socket, Node itself. */
export const AGENT_CLASSES: readonly HostileClass[] = [
  { number: 20, about: "RADIUS attributes and forged replies", cves: ["2024-3596"], guards: [], note: "Not built." },
  {
    number: 23,
    about: "Octets that nobody has set in what goes out",
    cves: ["2016-6415"],
    guards: [
      {
        against: "what a MAC is made over",
        file: `${CRYPTO}/prf.ts`,
        text: "Buffer.allocUnsafe(size);",
        without: "Buffer.allocUnsafe(size + 1);",
        test: [`${SIM}/unset-octets.spec.ts`, "whatever memory held before, the same octets go out (hostile input 23)"],
      },
      {
        against: "reserved fields and padding of a message",
        file: "libs/base/src/cursor.ts",
        text: "this.#buffer = new Uint8Array(capacity);",
        without: "this.#buffer = Buffer.allocUnsafe(capacity);",
        test: [`${SIM}/unset-octets.spec.ts`, "whatever memory held before, the same octets go out (hostile input 23)"],
      },
      {
        against: "keys of CHILD SAs that stay in memory once the data plane has them",
        file: "libs/ike/src/runner-wipe.ts",
        text: "encryption.key.fill(0);",
        without: "",
        test: [
          `${AGENT}/engine-host.spec.ts`,
          "overwrites the keys of SAs that were handed over, and of those that were refused or never tried",
        ],
      },
      {
        against: "keys of an IKE SA that is gone",
        file: `${V2}/table.ts`,
        text: "if (old) wipe(old);",
        without: "",
        test: [`${V2}/table.spec.ts`, "the keys of an IKE SA that is gone are overwritten, and not before"],
      },
    ],
  },
  {
    number: 24,
    about: "Oracles: what a refusal or its time tells",
    cves: ["2018-0131", "2016-2183"],
    guards: [
      {
        against: "a padding that is told apart from a wrong ICV",
        file: `${CRYPTO}/sk.ts`,
        text: "if (end < 0) throw refused();",
        without: "if (end < 0) throw new RangeError();",
        test: [`${CRYPTO}/sk.spec.ts`, "refuses a padding longer than the plaintext, though its ICV is right"],
      },
      {
        against: "a length that is told apart from a wrong ICV",
        file: `${CRYPTO}/sk.ts`,
        text: "if (sealed < PAD_LENGTH || sealed % blockBytes !== 0) throw refused();",
        without: "if (sealed < PAD_LENGTH || sealed % blockBytes !== 0) throw new RangeError();",
        test: [`${CRYPTO}/sk.spec.ts`, "refuses any change, and any length, with one and the same fault"],
      },
      {
        against: "a user whose name alone is wrong, told apart from one whose password is",
        file: "libs/ike/src/eap/user.ts",
        text: 'return { octets: createHash("sha256").update(turn.ctx.rng.bytes(16)).digest(), known: false };',
        without: 'throw fault("ike/eap-malformed", "no such user", { field: "EAP" });',
        test: [`${SIM}/eap-methods.spec.ts`, "%s refuses a wrong password and a stranger alike"],
      },
    ],
    note: "Proofs, MACs and passwords are compared by `timingSafeEqual`. RSA encryption is a matter of IKEv1, which is not built.",
  },
  {
    number: 25,
    about: "A TCP stream that is closed and used again",
    cves: [],
    guards: [],
    note: "IKE over TCP is not built.",
  },
  {
    number: 26,
    about: "Text of a peer that reaches a shell, a line of a log, a terminal or a page",
    cves: ["2023-28771"],
    guards: [
      {
        against: "anything that a terminal or a viewer acts on, whoever it is from: the last thing before every output",
        file: `${AGENT}/log.ts`,
        text: "harmless(chunk.trimEnd())",
        without: "chunk.trimEnd()",
        test: [`${AGENT}/harmless.spec.ts`, "stands before the log, whatever is logged"],
      },
      {
        against: "the same in what commands print",
        file: `${AGENT}/harmless.ts`,
        text: "return text.replace(HARMFUL, escaped);",
        without: "return text;",
        test: [`${AGENT}/harmless.spec.ts`, "lets nothing through that a terminal would act on (hostile input 26)"],
      },
      {
        against: "controls, separators and reversed text",
        file: `${WIRE}/text.ts`,
        text: "shown.replace(UNSAFE,",
        without: "shown.replace(/(?!)/g,",
        test: [`${WIRE}/payloads.spec.ts`, "cannot move a cursor, break a line, reverse it or hide"],
      },
      {
        against: "payloads that write to the terminal of who traces",
        file: `${WIRE}/message-text.ts`,
        text: "text ? printable(data) : hex(data)",
        without: "text ? new TextDecoder().decode(data) : hex(data)",
        test: [`${SIM}/trace.spec.ts`, "lets no peer write to the terminal"],
      },
      {
        against: "names in certificates",
        file: `${PKI}/names.ts`,
        text: '(c === " " ? c :',
        without: "(c ? c :",
        test: [
          `${PKI}/verify.spec.ts`,
          "that is a crafted DN gives a coded fault, and a hostile subject reaches no log line raw",
        ],
      },
      {
        against: "names of users of EAP",
        file: "libs/ike/src/eap/user.ts",
        text: 'if (text === "" || printable(text, MAX_IDENTITY_OCTETS) !== text.replaceAll("\\\\", "\\\\u{5c}")) {',
        without: 'if (text === "") {',
        test: [`${SIM}/eap-hostile.spec.ts`, "%s"],
      },
      {
        against: "domains for name servers, which a hook is given",
        file: `${WIRE}/config-data.ts`,
        text: "return DOMAIN.test(text) ? text : undefined;",
        without: "return text;",
        test: [
          `${SIM}/hostile-server.spec.ts`,
          "names of domains that a shell or a terminal could trip over are passed over (hostile input 26)",
        ],
      },
    ],
  },
  {
    number: 27,
    about: "A hostile name server; the local control socket",
    cves: ["2013-2052", "2018-5388"],
    guards: [
      {
        against: "answers that lead to this machine, to all or to nobody, and too many of them",
        file: `${AGENT}/locate.ts`,
        text: ".filter((a) => !UNFIT.some((p) => p.contains(a)))",
        without: "",
        test: [
          `${AGENT}/locate.spec.ts`,
          "leaves out answers where no peer can be, and all but a few (hostile input 27)",
        ],
      },
      {
        against: "a name that leads elsewhere while its peer is up",
        file: `${AGENT}/applier.ts`,
        text: " || this.#stands(host, intent))",
        without: ")",
        test: [
          `${AGENT}/applier.spec.ts`,
          "is called where its name leads now, but stays where it answers (hostile input 27)",
        ],
      },
      {
        against: "other users of the machine",
        file: `${AGENT}/control-socket.ts`,
        text: "process.umask(0o177)",
        without: "process.umask()",
        test: [CONTROL, "is root's alone"],
      },
      {
        against: "requests without end",
        file: `${AGENT}/control-socket.ts`,
        text: "if (pending.length > MAX_REQUEST) {",
        without: "if (false) {",
        test: [CONTROL, "lets go of a client that sends too much"],
      },
      {
        against: "commands named after what every object has",
        file: `${AGENT}/control-socket.ts`,
        text: "Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined",
        without: "this.handlers[command]",
        test: [CONTROL, "knows no command %s"],
      },
      {
        against: "internal errors told to clients",
        file: `${AGENT}/control-socket.ts`,
        text: 'message: "internal error, see the log"',
        without: "message: String(error)",
        test: [CONTROL, "tells nothing of an internal error"],
      },
    ],
  },
  {
    number: 29,
    about:
      "Of Node itself: a throw that ends the process, a promise nobody awaits, `__proto__` as a key, slow synchronous work, maps that grow",
    cves: [],
    guards: [
      {
        against: "an exception within the engine",
        file: `${V2}/engine.ts`,
        text: "turn.revert();\n      this.#counted(turn, error, input);\n      if (input.on",
        without: "throw error;\n      if (input.on",
        test: [`${SIM}/hostile.spec.ts`, "does not flood the log"],
      },
      {
        against: "an engine that throws all the same",
        file: `${AGENT}/engine-host.ts`,
        text: "    if (this.#now() - this.#loggedAt < LOG_EVERY_MS) return;\n    this.#loggedAt = this.#now();",
        without: "    throw error;",
        test: [`${AGENT}/engine-host.spec.ts`, "outlives an engine that throws"],
      },
      {
        against: "maps that grow: what routers said",
        file: "libs/userspace/src/path-mtu.ts",
        text: "if (this.#told.size > MAX_TOLD)",
        without: "if (false)",
        test: [
          "libs/userspace/src/path-mtu.spec.ts",
          "routers' words about ever more peers are not all remembered (hostile input 29)",
        ],
      },
      {
        against: "maps that grow: names that selectors of peers made",
        file: `${V2}/core.ts`,
        text: "if (!this.byReqid.has(reqid) && !this.table.usesReqid(reqid)) this.reqids.delete(reqid);",
        without: "",
        test: [`${SIM}/growth.spec.ts`, "names of reqids for requests that are refused are forgotten"],
      },
      {
        against: "policies that fine selectors of a peer make",
        file: `${V2}/affordable.ts`,
        text: "turn.core.config.limits.selectorsPerSa - selectorsMade(sa, wanted.reqid)",
        without: "MAX_SELECTORS",
        test: [
          `${SIM}/growth.spec.ts`,
          "policies of selectors that the peer makes fine are bounded for the whole IKE SA",
        ],
      },
      {
        against: "what every object has, taken for a name of ours: algorithms",
        file: "libs/esp/src/esp.ts",
        text: "if (Object.hasOwn(table, name)) return table[name] as Info;",
        without: "if (table[name]) return table[name] as Info;",
        test: ["libs/esp/src/esp.spec.ts", "with %s are refused"],
      },
      {
        against: "a promise that nobody awaits",
        file: `${AGENT}/revocation.ts`,
        text: 'if (!isFault(error)) log.error({ uri, err: error }, "asking about a certificate failed");',
        without: "if (!isFault(error)) throw error;",
        test: [
          `${AGENT}/revocation.spec.ts`,
          "ends no process when asking fails in a way that nobody has thought of (hostile input 29)",
        ],
      },
      {
        against: "a storm that keeps the event loop",
        file: `${AGENT}/engine-host.ts`,
        text: "next = now < until ? this.#queue.shift() : undefined;\n      }",
        without: "next = this.#queue.shift();\n      }",
        test: [
          `${AGENT}/engine-host.spec.ts`,
          "works off a storm in slices, one a turn of the event loop, and drops what is too much",
        ],
      },
    ],
  },
];
