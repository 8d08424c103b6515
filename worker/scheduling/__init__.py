"""What shares the next batch, how much of each list is scored, and what a batch takes: pure policies."""
