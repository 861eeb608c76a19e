"""The study of rewards: judges and rewards side by side, on labelled pairs and recorded critiques."""
