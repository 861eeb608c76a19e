"""Judges: what is missing from a response, how good it is, and when a judgement failed."""
