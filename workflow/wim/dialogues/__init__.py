"""Dialogues: completions of prompts, or conversations of two models on a topic."""
