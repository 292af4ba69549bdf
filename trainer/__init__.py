"""Everything that runs: training, evaluation, reconstruction, and what they write."""
