"""Responses and critiques as vectors of a sentence encoder."""
