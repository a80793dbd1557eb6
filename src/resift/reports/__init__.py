"""The one look of all reports: pages that need nothing else, and their plots."""
