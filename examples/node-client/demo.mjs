// Drives every channel of a running controller, and says of each what it has seen.
//
//   node demo.mjs ADDRESS DIRECTORY
//
// DIRECTORY is a project to run over; it is in the end as it was. Exit code 1 with the first thing that is not so.

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

import { CallError, connect } from "./client.mjs";

const FILE = "sandstone-demo/greeting.py";
const LIMITS = { memoryLimitBytes: 256 << 20, diskLimitBytes: 32 << 20, timeout: { seconds: 120 } };

const TICKS = 40;
const COUNT = `for i in $(seq ${TICKS}); do echo tick $i; sleep 0.1; done; seq ${TICKS} > sandstone-demo/count`;
const PLAN = {
  name: "demo from Node.js",
  sandbox: LIMITS,
  onFailure: "ON_FAILURE_STOP",
  steps: [
    { id: "write", fileCreate: { path: FILE, content: 'print("hello")\n' } },
    { id: "edit", fileEdit: { path: FILE, replace: { search: "hello", replacement: "hello, world" } } },
    { id: "count", command: { run: { shell: COUNT } } },
    { id: "check", needs: ["count"], test: { run: { argv: ["grep", "-q", "world", FILE] } } },
  ],
};
const LONG_PLAN = {
  name: "long",
  sandbox: LIMITS,
  steps: [{ id: "long", command: { run: { shell: "echo begun; sleep 600" } } }],
};
const BAD_PLAN = {
  retry: { attempts: 99 },
  steps: [
    { id: "nothing", command: {} },
    { id: "away", fileDelete: { path: "../elsewhere" } },
  ],
};
const FORK_PLAN = `
version: 1
name: another way
sandbox: {memory: 256MiB, disk: 32MiB}
steps:
  - {id: again, type: command, run: "sed -i s/world/fork/ ${FILE}"}
`;

const saw = (text) => console.log(text);
const known = (names, more) => new Set([...names, ...more]).size === new Set(names).size;
const text = (buffers) => Buffer.concat(buffers).toString();

/** What the event stream of one execution has told so far, and a way to wait for what it tells next. */
class Watch {
  events = [];
  output = new Map(); // Step id -> text.
  #waiting = [];

  constructor(client, executionId) {
    this.over = this.#follow(client.watchEvents(executionId, { includeOutput: true, heartbeatSeconds: 2 }));
    this.over.catch(() => {}); // Whoever waits next hears of it.
  }

  async #follow(stream) {
    for await (const { events, output } of stream) {
      this.events.push(...events);
      for (const chunk of output) this.output.set(chunk.stepId, this.printed(chunk.stepId) + chunk.data.toString());
      this.#waiting = this.#waiting.filter(({ holds, done }) => !holds(this) || done());
    }
  }

  printed(stepId) {
    return this.output.get(stepId) ?? "";
  }

  kinds() {
    return this.events.map((event) => event.kindName);
  }

  /** Waits until `holds`; fails when the stream ends before. */
  async until(what, holds) {
    if (holds(this)) return;
    const held = new Promise((done) => this.#waiting.push({ holds, done }));
    const ended = this.over.then(() => assert(holds(this), `the stream ended before ${what}`));
    await within(60_000, what, Promise.race([held, ended]));
  }
}

async function within(limitMs, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${limitMs / 1000} s: ${what}`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The error that a call is expected to fail with. */
async function refused(code, call) {
  try {
    await call;
  } catch (error) {
    if (error instanceof CallError && error.code === code) return error;
    throw error;
  }
  throw new Error(`a call was to fail with ${code}, and did not`);
}

// -- the parts, in order -----------------------------------------------------------------------------------------

async function lookAround(client) {
  const info = await client.getServerInfo();
  assert(info.apiVersions.includes("sandstone.v1"));
  assert(info.limits.requestBytes > 0);
  saw(`server: sandstone ${info.version}, instance ${info.instanceId}, checks ${info.checks.join(" ")}`);
  for (const service of ["", "sandstone.v1.ExecutionService"]) {
    assert.equal(await client.checkHealth(service), "SERVING");
  }
  saw("health: SERVING");
  const services = await client.listServices();
  for (const name of ["Execution", "Checkpoint", "Inspection"]) {
    assert(services.includes(`sandstone.v1.${name}Service`), `reflection does not name ${name}Service`);
  }
  saw(`reflection: ${services.sort().join(" ")}`);
}

async function refusePlans(client, workspace) {
  const bad = await refused("INVALID_ARGUMENT", client.executePlan({ plan: BAD_PLAN, workspace }));
  assert.equal(bad.reason, "PLAN");
  const fields = bad.fieldViolations.map((violation) => violation.field);
  for (const field of ["plan.retry.attempts", "plan.steps[0].run", "plan.steps[1].path"]) {
    assert(fields.includes(field), `${field} is not among ${fields.join(", ")}`);
  }
  saw(`bad plan: ${bad.code} ${bad.reason} at ${fields.join(", ")}`);
  const { execution } = await client.executePlan({ plan: PLAN, workspace, validateOnly: true });
  assert.equal(execution, null);
  saw("good plan: valid, and nothing was run");
  const missing = await refused("NOT_FOUND", client.getStatus({ executionId: "no-such-execution" }));
  assert.equal(missing.details["google.rpc.ResourceInfo"].resourceName, "no-such-execution");
  saw(`no such execution: ${missing.code} ${missing.reason}`);
}

async function beginOnce(client, workspace) {
  const request = { requestId: randomUUID(), plan: PLAN, workspace };
  const { execution } = await client.executePlan(request);
  const again = await client.executePlan(request);
  assert.equal(again.execution.executionId, execution.executionId);
  const other = await refused("ALREADY_EXISTS", client.executePlan({ ...request, name: "other" }));
  assert.equal(other.reason, "REQUEST_REUSED");
  saw(`execute: ${execution.executionId}, and once only when asked twice; another request by its id: ${other.code}`);
  return execution.executionId;
}

async function pauseAndResume(client, executionId, watch) {
  await watch.until("step count printed something", () => watch.printed("count").includes("tick"));
  saw("events: output arrives while the step runs");
  const { execution } = await client.pause({ executionId, mode: "PAUSE_MODE_NOW", reason: "to look" });
  assert.equal(execution.state, "EXECUTION_STATE_PAUSED");
  assert.equal(execution.reason, "to look");
  const { progress } = await client.getProgress({ executionId });
  assert.equal(progress.state, "EXECUTION_STATE_PAUSED");
  assert.equal(progress.currentStepId, "count");
  assert.equal(progress.doneStepCount, 2);
  await watch.until("the pause was told", () => watch.kinds().includes("execution-paused"));
  assert(!watch.printed("count").includes(`tick ${TICKS}\n`), "the step had ended before it was paused");
  saw(`pause: PAUSED in step count, ${progress.doneStepCount} of ${progress.totalStepCount} steps done`);
  const { checkpoint } = await client.createCheckpoint({ executionId, name: "good" });
  assert.equal(checkpoint.kind, "CHECKPOINT_KIND_MANUAL");
  saw(`checkpoint: ${checkpoint.checkpointId} is called good`);
  const resumed = await client.resume({ executionId });
  assert.equal(resumed.execution.state, "EXECUTION_STATE_RUNNING");
  saw("resume: RUNNING");
}

async function complete(client, executionId, watch) {
  const execution = await client.wait(executionId);
  assert.equal(execution.state, "EXECUTION_STATE_COMPLETED", execution.reason);
  await within(60_000, "the stream ends with the execution", watch.over);
  assert.deepEqual(watch.events.map((event) => event.sequence), watch.events.map((_, index) => index + 1));
  assert(known(watch.kinds(), ["execution-started", "step-started", "step-completed", "checkpoint-created"]));
  assert(known(watch.kinds(), ["execution-resumed", "execution-completed"]));
  assert(watch.events.every((event) => event.payload && event[event.payload]));
  saw(`complete: COMPLETED; ${watch.events.length} events, each once and in order`);
  const { steps } = await client.getStatus({ executionId });
  assert(steps.every((step) => step.state === "STEP_STATE_SUCCEEDED"));
  assert(steps[2].stdoutTail.toString().endsWith(`tick ${TICKS}\n`));
  assert.equal(steps[2].exitCode, 0);
  const logs = [];
  for await (const { chunk } of client.readLogs({ executionId, stepId: "count" })) logs.push(chunk.data);
  const ticks = text(logs).match(/^tick \d+$/gm);
  assert.deepEqual(ticks, Array.from({ length: TICKS }, (_, index) => `tick ${index + 1}`));
  saw(`status: ${steps.length} steps succeeded; the log of count has its ${ticks.length} lines, each once`);
}

async function rollBackAndResume(client, executionId) {
  const wrong = await refused("FAILED_PRECONDITION", client.pause({ executionId }));
  assert.equal(wrong.reason, "WRONG_STATE");
  const against = wrong.preconditions.map(({ type, description }) => `${type} ${description}`);
  assert.deepEqual(against, ["STATE is completed"]);
  saw(`wrong state: ${wrong.code} ${wrong.reason}, it ${wrong.preconditions[0].description}`);
  const { execution, checkpoint } = await client.rollback({ executionId, checkpointId: "good" });
  assert.equal(execution.state, "EXECUTION_STATE_PAUSED");
  assert.equal(checkpoint.name, "good");
  assert.equal(execution.headCheckpointId, checkpoint.checkpointId);
  const { steps } = await client.getStatus({ executionId });
  assert.deepEqual(steps.slice(2).map((step) => step.state), Array(2).fill("STEP_STATE_ROLLED_BACK"));
  saw(`rollback: PAUSED at ${checkpoint.name}, ${steps.length - 2} steps rolled back`);
  await client.resume({ executionId });
  assert.equal((await client.wait(executionId)).state, "EXECUTION_STATE_COMPLETED");
  saw("resume after rollback: COMPLETED");
  const { checkpoints, headCheckpointId } = await client.listCheckpoints({ executionId });
  assert(known(checkpoints.map(({ name }) => name), ["write", "edit", "good", "count"]));
  assert(checkpoints.some(({ checkpointId }) => checkpointId === headCheckpointId));
  saw(`checkpoints: ${checkpoints.map(({ checkpointId, name }) => `${checkpointId}=${name}`).join(" ")}`);
}

async function takeResults(client, executionId, workspace) {
  const changes = [];
  let shown = "";
  for await (const part of client.diff({ executionId, includeText: true })) {
    changes.push(...part.changes);
    shown += part.text;
  }
  const added = changes.filter(({ kind }) => kind === "CHANGE_KIND_ADDED").map((change) => change.path.toString());
  assert.deepEqual(added, ["sandstone-demo", "sandstone-demo/count", FILE]);
  assert(shown.includes('+print("hello, world")\n'));
  saw(`diff: ${added.join(" ")} added`);
  const parts = [];
  for await (const { data } of client.export({ executionId, format: "EXPORT_FORMAT_PATCH" })) parts.push(data);
  const patch = text(parts);
  assert(patch.includes(`diff --git a/${FILE} b/${FILE}\n`));
  saw(`export: a patch of ${patch.length} bytes`);

  const file = path.join(workspace, FILE);
  const dry = await client.apply({ executionId, dryRun: true });
  assert.deepEqual(dry.report.addedPaths.map(String), added);
  assert(!existsSync(file), "a dry run wrote something");
  const { report } = await client.apply({ executionId });
  assert.equal(readFileSync(file, "utf8"), 'print("hello, world")\n');
  saw(`apply: ${report.addedPaths.length} paths, after a dry run that wrote nothing`);
  const undone = await client.undoApply({ executionId });
  assert.equal(undone.report.deletedPaths.length, report.addedPaths.length);
  assert(!existsSync(path.dirname(file)), "the undo left something");
  saw("undo: the directory is as it was");
}

async function fork(client, executionId) {
  const made = await client.fork({ executionId, checkpointId: "good", planText: FORK_PLAN, name: "fork" });
  assert.match(made.execution.forkedFrom, new RegExp(`^${executionId}:`));
  const ended = await client.wait(made.execution.executionId);
  assert.equal(ended.state, "EXECUTION_STATE_COMPLETED", ended.reason);
  let shown = "";
  for await (const part of client.diff({ executionId: ended.executionId, includeText: true })) shown += part.text;
  assert(shown.includes('+print("hello, fork")\n'));
  const { executions } = await client.listExecutions();
  assert(known(executions.map((execution) => execution.executionId), [executionId, ended.executionId]));
  saw(`fork: ${ended.executionId} from ${made.execution.forkedFrom}, COMPLETED`);
}

async function cancel(client, workspace) {
  const { execution } = await client.executePlan({ plan: LONG_PLAN, workspace });
  const { executionId } = execution;
  const watch = new Watch(client, executionId);
  await watch.until("the long step printed something", () => watch.printed("long").includes("begun"));
  const asked = Date.now();
  const cancelled = await client.cancel({ executionId, reason: "it takes too long" });
  const tookMs = Date.now() - asked;
  assert.equal(cancelled.execution.state, "EXECUTION_STATE_CANCELLED");
  assert.equal((await client.cancel({ executionId })).execution.state, "EXECUTION_STATE_CANCELLED");
  await within(60_000, "the stream ends with the execution", watch.over);
  assert.equal(watch.kinds().filter((kind) => kind === "execution-cancelled").length, 1);
  saw(`cancel: CANCELLED in ${tookMs} ms, told once`);
}

async function demo(client, workspace) {
  await lookAround(client);
  await refusePlans(client, workspace);
  const executionId = await beginOnce(client, workspace);
  const watch = new Watch(client, executionId);
  await pauseAndResume(client, executionId, watch);
  await complete(client, executionId, watch);
  await rollBackAndResume(client, executionId);
  await takeResults(client, executionId, workspace);
  await fork(client, executionId);
  await cancel(client, workspace);
  saw("all of it is so");
}

const [address, directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error("usage: node demo.mjs ADDRESS DIRECTORY");
  process.exit(2);
}
const client = connect(address);
try {
  await demo(client, path.resolve(directory));
} catch (error) {
  const told = error instanceof CallError ? `${error.code} ${error.reason}: ` : "";
  const place = error.stack?.match(/demo\.mjs:\d+/g)?.[0] ?? "";
  console.error(`not so: ${told}${error.message}${place ? ` (${place})` : ""}`);
  process.exit(1); // A stream may be open still.
}
client.close();
