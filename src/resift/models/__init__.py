"""Where models come from, and what is checked before one runs."""
