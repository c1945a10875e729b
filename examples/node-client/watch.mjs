// Prints an execution's events, one line each, through restarts of the controller, until the execution has ended.
//
//   node watch.mjs ADDRESS EXECUTION [AFTER]

import { readFileSync } from "node:fs";

import { CallError, connect } from "./client.mjs";

const [address, executionId, after = "0"] = process.argv.slice(2);
if (executionId === undefined) {
  console.error("usage: node watch.mjs ADDRESS EXECUTION [AFTER]");
  process.exit(2);
}

const client = connect(address, {
  token: process.env.SANDSTONE_TOKEN, // Both only for a port.
  authority: process.env.SANDSTONE_AUTHORITY && readFileSync(process.env.SANDSTONE_AUTHORITY),
});
try {
  for await (const { events } of client.watchEvents(executionId, { afterSequence: Number(after) })) {
    for (const event of events) console.log(`${event.sequence} ${event.kindName} ${event.stepId}`.trimEnd());
  }
} catch (error) {
  if (!(error instanceof CallError)) throw error;
  console.error(`${error.code} ${error.reason}: ${error.message}`);
  process.exitCode = 1;
} finally {
  client.close();
}
