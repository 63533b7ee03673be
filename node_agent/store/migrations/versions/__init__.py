"""Alembic's tree of revisions; no code of ours imports from here."""
