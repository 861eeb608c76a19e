"""The settings: one small module per stage, so that a stage's code digest covers its own only."""
