"""Models made ready: which weights run, opened, tested, and shared by all threads."""
