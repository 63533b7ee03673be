"""How the project is run for real: demo data and the demo runner."""
