"""The page on which a person reads pairs and candidates, and labels them."""
