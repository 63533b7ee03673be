// Asks one question as an application with Apollo Client does, everything at its default: node apollo.mjs URL AUTHORIZATION REQUEST
// REQUEST is JSON {query, variables}. Prints {"data", "error"}: what the application's own code receives, or was thrown.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';

const [uri, authorization, request] = process.argv.slice(2);
const { query, variables } = JSON.parse(request);
const client = new ApolloClient({
  link: new HttpLink({ uri, headers: { authorization } }),
  cache: new InMemoryCache(),
});
try {
  const { data, error } = await client.query({ query: gql(query), variables });
  console.log(JSON.stringify({ data: data ?? null, error: error?.message ?? null }));
} catch (thrown) {
  console.log(JSON.stringify({ data: null, error: thrown.message }));
}
