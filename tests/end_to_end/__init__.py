"""Whole cities of real processes. A package, so that its cities stop when its last test is done."""
