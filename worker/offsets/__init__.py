"""Which offsets may be committed, and how far a partition is behind."""
