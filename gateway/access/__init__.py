"""Who asks, and may they? Access token -> caller -> decision. The node's half is node_agent/access.py."""
