"""Align a language model with AI feedback: the library behind the workflow's rules."""
