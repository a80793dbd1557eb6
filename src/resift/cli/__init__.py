"""The command line: ``resift rank``, ``export``, ``models`` and ``compare-server``."""
