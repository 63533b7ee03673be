"""Nodes of another release: what contract they speak, what they are asked, and how their answers become ours."""
