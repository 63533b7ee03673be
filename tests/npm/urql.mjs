// Asks one question as an application with urql does: node urql.mjs URL AUTHORIZATION REQUEST [untouched]
// REQUEST is JSON {query, variables}. Everything is at its default but for preferGetMethod, unless 'untouched': since version 6
// urql sends short queries by GET, variables and all, and the gateway takes no identifier in a URL. Prints {"data", "error"}: what the application's own code receives.
import { Client, cacheExchange, fetchExchange } from '@urql/core';

const [url, authorization, request, untouched] = process.argv.slice(2);
const { query, variables } = JSON.parse(request);
const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange],
  fetchOptions: { headers: { authorization } },
  ...(untouched ? {} : { preferGetMethod: false }),
});
const { data, error } = await client.query(query, variables).toPromise();
console.log(JSON.stringify({ data: data ?? null, error: error?.message ?? null }));
