"""The demo: a small made-up city and the program that shows it."""
