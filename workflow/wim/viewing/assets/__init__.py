"""The page's frame, style and scripts, and a library with its licence."""
