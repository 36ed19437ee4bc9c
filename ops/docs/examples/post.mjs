// Node 18 or newer: node post.mjs report.json        (WEBHOOK, VAPI_SECRET)
import { readFile } from "node:fs/promises";

export async function post(report, tries = 8) {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(process.env.WEBHOOK ?? "http://127.0.0.1:8787/vapi", {
      method: "POST",
      headers: { "content-type": "application/json", "x-vapi-secret": process.env.VAPI_SECRET ?? "" },
      body: report, // the bytes as they came: Roark gets every number as Vapi wrote it
      signal: AbortSignal.timeout(30_000),
    }).catch((error) => ({ status: 503, headers: new Headers(), json: async () => ({ error: String(error) }) }));
    const passes = [408, 429].includes(answer.status) || answer.status >= 500;
    if (!passes || attempt === tries) return { status: answer.status, ...(await answer.json()) };
    // Repeats do no harm: the same report again is a duplicate.
    const seconds = Number(answer.headers.get("retry-after") ?? 0) || Math.min(2 ** attempt, 60);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

const answer = await post(await readFile(process.argv[2]));
console.log(JSON.stringify(answer));
process.exit(answer.status < 300 ? 0 : 1);
