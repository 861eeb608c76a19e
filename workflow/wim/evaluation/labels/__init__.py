"""Labelled pairs from files, as they come: the project's own form and those of published sets."""
