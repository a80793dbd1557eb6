"""The command line: ``resift rank``, ``evaluate``, ``export``, ``models``, ``compare-server``."""
