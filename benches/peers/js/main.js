// The JavaScript client of `make bench-streams`, told what to do as benches/peers/client.py is.
//
// Told "streams MODEL COUNT", it opens that many streams at once and tells as JSON what they cost.
import { createInterface } from "node:readline";
import { Ollama } from "ollama";

const host = process.argv[2];
const messages = [{ role: "user", content: "Why is the sky blue?" }];

// process.hrtime is CLOCK_MONOTONIC, which the server tells, too.
const now = () => Number(process.hrtime.bigint()) / 1e3;

async function read(client, model) {
  let text = "";
  let sent = 0;
  for await (const part of await client.chat({ model, messages, stream: true })) {
    text += part.message.content;
    sent = part.total_duration;
  }
  return { text, lag: now() - sent / 1e3 };
}

async function streams(model, count) {
  const client = new Ollama({ host });
  if (count === 1) await read(client, "burst-2"); // a burst comes over a connection that is open
  const used = process.cpuUsage();
  const began = now();
  const all = await Promise.all(Array.from({ length: count }, () => read(client, model)));
  const wall = now() - began;
  const { user, system } = process.cpuUsage(used);
  const { text } = all[0];
  if (all.some((one) => one.text !== text)) throw new Error("two streams have different texts");
  return { cpu: user + system, wall, lags: all.map((one) => one.lag), text };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [task, model, count] = line.split(" ");
  if (task !== "streams") throw new Error(`not understood: ${line}`);
  console.log(JSON.stringify(await streams(model, Number(count))));
}
