"""Memory and GPU-hours of each stage, worked out before anything is run."""
