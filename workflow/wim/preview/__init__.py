"""A few prompts through a run's stages, in one process."""
