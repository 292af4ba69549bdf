"""What a run or a method is worth on files, and their reconstruction."""
