"""Programs for developing resift."""
