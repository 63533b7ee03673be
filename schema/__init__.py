"""The contract both sides speak: types, filters, coverage, delegation, GraphQL over HTTP. Imports neither side, does no I/O."""
