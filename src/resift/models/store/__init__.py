"""The folder that keeps downloaded models, and the sha256 of their files."""
