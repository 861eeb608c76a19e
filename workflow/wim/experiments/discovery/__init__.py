"""The discovery of losses (DiscoPOP, Lu et al. 2024, arXiv 2406.08414)."""
