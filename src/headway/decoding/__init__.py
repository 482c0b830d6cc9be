"""Text from trained models: search, sampling, filling blanks, scoring."""
