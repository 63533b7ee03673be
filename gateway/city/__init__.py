"""The registered facilities and their nodes: how they join, what they tell, and the one value a query reads."""
