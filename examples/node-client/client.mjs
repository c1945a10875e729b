// A client of `sandstone serve`, made from the .proto files alone: no generated code.
//
//   const client = connect("unix:/run/user/1000/sandstone/controller.sock");
//   const { execution } = await client.executePlan({ planText, workspace: "/home/me/project" });
//   for await (const { events } of client.watchEvents(execution.executionId)) ...
//
// Every method of the three services is here by its own name in camel case, with the fields of its messages in camel
// case too. A method that answers once gives a promise, one that streams an async iterable. A call that fails rejects
// with a `CallError`. Whatever changes something gets a request id, so that trying it again does it once.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const protocol = protoLoader.loadSync(
  [
    "sandstone/v1/execution_service.proto",
    "sandstone/v1/checkpoint_service.proto",
    "sandstone/v1/inspection_service.proto",
    "google_rpc.proto",
    "grpc_health_v1.proto",
    "grpc_reflection_v1alpha.proto",
  ],
  {
    includeDirs: [here("../../proto"), here("wire")],
    defaults: true, // Fields that are not on the wire have their default value; absent messages are null.
    oneofs: true, // `event.payload` names the field of the payload that is there.
    enums: String,
    longs: Number, // Sequences and sizes stay far below 2^53.
  },
);

const SERVICES = ["ExecutionService", "CheckpointService", "InspectionService"];
const CALL_LIMIT_MS = 10 * 60_000; // Of calls that answer once; applying and forking take as long as they take.
const LOOK_AGAIN_MS = 500; // Between two attempts at a stream that broke.
const RESPONSE_BYTES = 64 << 20;
const AT_WORK = new Set(["EXECUTION_STATE_IDLE", "EXECUTION_STATE_RUNNING"]);

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": RESPONSE_BYTES,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 2_000,
  "grpc.service_config": JSON.stringify({
    loadBalancingConfig: [{ pick_first: {} }],
    methodConfig: [
      {
        name: SERVICES.map((name) => ({ service: `sandstone.v1.${name}` })),
        retryPolicy: {
          maxAttempts: 3,
          initialBackoff: "0.2s",
          maxBackoff: "2s",
          backoffMultiplier: 2,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      },
    ],
  }),
};

/** A call that failed, with what `google.rpc` tells about it. */
export class CallError extends Error {
  /** @param {grpc.ServiceError} error as gRPC gives it */
  constructor(error) {
    super(error.details || error.message, { cause: error });
    this.name = "CallError";
    /** Name of the code, such as `FAILED_PRECONDITION`. */
    this.code = grpc.status[error.code] ?? String(error.code);
    const details = decodeDetails(error.metadata);
    const info = details["google.rpc.ErrorInfo"];
    /** Which error, such as `WRONG_STATE`; empty when the controller itself did not answer. */
    this.reason = info?.reason ?? "";
    /** What belongs to it, such as the execution and its state; every value is text. */
    this.fields = info?.metadata ?? {};
    /** The other details by the name of their type, such as `google.rpc.BadRequest`. */
    this.details = details;
    /** How long to wait before the same call may work; null: do not try again. */
    this.retryAfterMs = milliseconds(details["google.rpc.RetryInfo"]?.retryDelay);
  }

  /** Which fields of the request are wrong, and why: `[{field, description}]`. */
  get fieldViolations() {
    return this.details["google.rpc.BadRequest"]?.fieldViolations ?? [];
  }

  /** What stands against the call: `[{type, subject, description}]`. */
  get preconditions() {
    return this.details["google.rpc.PreconditionFailure"]?.violations ?? [];
  }
}

/** The details of a status by the name of their type, each decoded. */
function decodeDetails(metadata) {
  const [packed] = metadata?.get("grpc-status-details-bin") ?? [];
  if (packed === undefined) return {};
  const found = {};
  for (const any of protocol["google.rpc.Status"].deserialize(packed).details) {
    const name = any.type_url.slice(any.type_url.lastIndexOf("/") + 1);
    const type = protocol[name]; // New kinds of details may come at any time; what is not known is skipped.
    if (type !== undefined) found[name] = type.deserialize(any.value);
  }
  return found;
}

function milliseconds(duration) {
  return duration ? duration.seconds * 1000 + duration.nanos / 1e6 : null;
}

/**
 * A client for one controller. It connects with the first call; `close` it when done.
 *
 * @param {string} address `unix:PATH`, or `HOST:PORT` with both options
 * @param {{token?: string, authority?: Buffer}} options what the controller's port asks for; who signed its certificate
 */
export function connect(address, { token, authority } = {}) {
  let credentials = grpc.credentials.createInsecure();
  if (!address.startsWith("unix:")) {
    const shown = grpc.credentials.createFromMetadataGenerator((_, done) => {
      const metadata = new grpc.Metadata();
      metadata.set("authorization", `Bearer ${token}`);
      done(null, metadata);
    });
    credentials = grpc.credentials.combineChannelCredentials(grpc.credentials.createSsl(authority), shown);
  }
  return new Client(address, credentials);
}

class Client {
  #stubs = {};

  constructor(address, credentials) {
    const { sandstone, grpc: standard } = grpc.loadPackageDefinition(protocol);
    const services = {
      ...Object.fromEntries(SERVICES.map((name) => [name, sandstone.v1[name]])),
      Health: standard.health.v1.Health,
      ServerReflection: standard.reflection.v1alpha.ServerReflection,
    };
    for (const [name, Service] of Object.entries(services)) {
      this.#stubs[name] = new Service(address, credentials, CHANNEL_OPTIONS); // All of them share one connection.
    }
    for (const name of SERVICES) {
      const stub = this.#stubs[name];
      for (const method of Object.values(protocol[`sandstone.v1.${name}`])) {
        this[method.originalName] ??= method.responseStream ? streaming(stub, method) : unary(stub, method);
      }
    }
  }

  /** Waits until the execution has come to rest, and gives it. */
  async wait(executionId) {
    for (;;) {
      const { execution } = await this.waitExecution({ executionId, timeout: { seconds: 60 } });
      if (!AT_WORK.has(execution.state)) return execution;
    }
  }

  /**
   * The execution's events, each once and in order, and with `includeOutput` what its steps print from now on, until
   * the execution has ended. When the stream breaks, or the controller is started again, it goes on after the last
   * event that was given. Leaving the loop ends the stream, and does nothing to the execution.
   *
   * @param {string} executionId
   * @param {object} options
   * @param {number} options.afterSequence only events above this number
   * @param {boolean} options.includeOutput output as well; what is printed while the stream is broken is in the logs
   * @param {number} options.heartbeatSeconds the controller gives a sign of life this often; after three without one
   *   the stream counts as broken
   * @param {number} options.patienceSeconds how long to go without a controller before giving up
   */
  async *watchEvents(
    executionId,
    { afterSequence = 0, includeOutput = false, heartbeatSeconds = 15, patienceSeconds = 120 } = {},
  ) {
    let last = afterSequence;
    let brokenSince = null;
    for (;;) {
      let call;
      const silence = setTimeout(() => call.cancel(), 3_000 * heartbeatSeconds);
      const open = () => {
        call = this.#stubs.ExecutionService.watchEvents({
          executionId,
          afterSequence: last,
          includeOutput,
          heartbeatInterval: { seconds: heartbeatSeconds },
        });
        return call;
      };
      try {
        for await (const message of answers(open)) {
          brokenSince = null;
          last = message.lastSequence;
          if (message.events.length || message.output.length) yield message;
          silence.refresh();
        }
        return;
      } catch (error) {
        brokenSince ??= Date.now();
        if (!isBroken(error) || Date.now() - brokenSince > 1000 * patienceSeconds) throw error;
      } finally {
        clearTimeout(silence);
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** `SERVING` or not: one service or, without a name, the whole controller. */
  async checkHealth(service = "") {
    return (await promised(this.#stubs.Health, "check", { service })).status;
  }

  /** Names of the services that the controller has, as it tells them itself. */
  async listServices() {
    const call = this.#stubs.ServerReflection.serverReflectionInfo();
    call.write({ listServices: "*" });
    call.end();
    for await (const answer of answers(() => call)) {
      return answer.listServicesResponse.service.map((service) => service.name);
    }
    throw new Error("the controller's reflection said nothing");
  }

  /** Closes the connection. Executions go on. */
  close() {
    for (const stub of Object.values(this.#stubs)) stub.close();
  }
}

/** A method that answers once, as a function that gives a promise. */
function unary(stub, method) {
  const once = method.requestType.type.field.some((field) => field.name === "request_id");
  return (request = {}) =>
    promised(stub, method.originalName, once ? { requestId: randomUUID(), ...request } : request);
}

function promised(stub, name, request) {
  return new Promise((resolve, reject) => {
    stub[name](request, { deadline: Date.now() + CALL_LIMIT_MS }, (error, answer) => {
      if (error) reject(new CallError(error));
      else resolve(answer);
    });
  });
}

/** A method that streams its answers, as a function that gives an async iterable. */
function streaming(stub, method) {
  return (request = {}) => answers(() => stub[method.originalName](request));
}

/** The answers of a call, which ends with the loop. It is opened by the first look, so that no error goes unheard. */
async function* answers(open) {
  const call = open();
  call.on("error", () => {}); // The loop gets it; without a listener the error after `cancel` would end the process.
  try {
    yield* call;
  } catch (error) {
    throw new CallError(error);
  } finally {
    call.cancel();
  }
}

/** Whether a stream broke, as against: the controller refused it for good. */
function isBroken(error) {
  if (error.reason) return error.retryAfterMs !== null;
  return ["UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN"].includes(error.code);
}
