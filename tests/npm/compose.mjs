// Composes subgraphs as an Apollo Federation router would: node compose.mjs NAME=FILE [NAME=FILE …]
// Prints one JSON object: {"errors": [text], "hints": [text], "supergraph": text or null}. Exit code 1 when there are errors.
import { readFileSync } from 'node:fs';
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

const services = process.argv.slice(2).map((argument) => {
  const [name, file] = argument.split('=');
  return { name, url: `http://${name}.invalid/graphql`, typeDefs: parse(readFileSync(file, 'utf8')) };
});
const composed = composeServices(services);
const errors = (composed.errors ?? []).map(String);
const hints = (composed.hints ?? []).map(String);
console.log(JSON.stringify({ errors, hints, supergraph: composed.supergraphSdl ?? null }, null, 2));
process.exit(errors.length ? 1 : 0);
