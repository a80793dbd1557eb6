"""Recording real traffic: queries, what a first stage found, and how it was ranked.

Lines of JSON, for ``resift evaluate`` to read. ``docs/recording.md`` describes them.
"""

from resift.recording.candidates import Candidate
from resift.recording.recorder import Recorder

__all__ = ["Candidate", "Recorder"]
