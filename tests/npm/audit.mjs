// Audits a running endpoint against the GraphQL over HTTP specification: node audit.mjs URL [AUTHORIZATION]
// Prints one JSON object: {"ok": n, "warn": n, "error": n, "notOk": [{id, name, status, reason}]}. Exit code 1 unless all are ok.
import { serverAudits } from 'graphql-http';

const [url, authorization] = process.argv.slice(2);

function fetchFn(input, init = {}) {
  const headers = new Headers(init.headers);
  if (authorization) headers.set('authorization', authorization);
  return fetch(input, { ...init, headers });
}

const found = { ok: 0, warn: 0, error: 0, notOk: [] };
for (const audit of serverAudits({ url, fetchFn })) {
  const result = await audit.fn();
  found[result.status] += 1;
  if (result.status !== 'ok') {
    found.notOk.push({ id: audit.id, name: audit.name, status: result.status, reason: result.reason });
  }
}
console.log(JSON.stringify(found, null, 2));
process.exit(found.notOk.length ? 1 : 0);
