"""The papers' own experiments: small enough to run here, and each an argument about a method."""
