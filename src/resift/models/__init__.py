"""Finding models, and checking their files before one runs."""
