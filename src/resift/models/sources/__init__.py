"""Where a model may be: on disk, in an archive, or on the hub."""
