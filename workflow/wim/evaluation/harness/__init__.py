"""EleutherAI's lm-evaluation-harness, run in an environment of its own."""
