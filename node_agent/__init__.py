"""One hospital: feeds in, a GraphQL subgraph out. Never imports the gateway."""
