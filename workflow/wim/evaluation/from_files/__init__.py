"""Evaluations that others have made, from their files: `wim winrate` and `wim mtbench`."""
