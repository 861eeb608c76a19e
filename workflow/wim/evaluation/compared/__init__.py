"""What judged comparisons of models show: win rates, differences, strengths, how surely."""
