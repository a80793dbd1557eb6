"""The files that people have: lines of JSON, collections, runs, judgements, recorded queries."""
