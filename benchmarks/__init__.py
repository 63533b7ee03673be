"""What is measured, and how: CPU of one process per query, not wall time, because machines are shared and noisy."""
