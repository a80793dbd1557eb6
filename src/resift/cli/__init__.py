"""The command line: ``resift rank``, ``resift export`` and ``resift models``."""
