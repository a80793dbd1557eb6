"""Sources of models: disk, archives, and the hub."""
