"""Ask many, answer once. Never imports the node agent."""
