"""What the tests share: projects that run, servers that answer, rows and models."""
