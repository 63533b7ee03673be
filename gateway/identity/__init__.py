"""Who is one person: the city key, tokens, the locator, and which rows may be shown together (DESIGN 4)."""
