"""The bandit of "A Critical Evaluation of AI Feedback" (Sharma et al. 2024, arXiv 2402.12366)."""
