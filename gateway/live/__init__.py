"""A patient's history as each hospital answers: subscriptions over graphql-transport-ws and server-sent events."""
