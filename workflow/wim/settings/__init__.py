"""What each stage can be told: one small file per stage, so that a stage's digest covers its own."""
