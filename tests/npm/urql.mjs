// Asks one question as an application with urql does: node urql.mjs URL AUTHORIZATION REQUEST [5] [post]
// REQUEST is JSON {query, variables}. 5: of version 5, else of version 6. Everything is at its default, but with 'post' every query goes by POST;
// since version 6 urql sends those whose URL stays below 2,048 characters by GET, variables and all.
// Prints {"data", "error"}: what the application's own code receives.
const [url, authorization, request, ...options] = process.argv.slice(2);
const { Client, cacheExchange, fetchExchange } = await import(options.includes('5') ? '@urql/core-5' : '@urql/core');
const { query, variables } = JSON.parse(request);
const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange],
  fetchOptions: { headers: { authorization } },
  ...(options.includes('post') ? { preferGetMethod: false } : {}),
});
const { data, error } = await client.query(query, variables).toPromise();
console.log(JSON.stringify({ data: data ?? null, error: error?.message ?? null }));
