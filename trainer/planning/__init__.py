"""What a training takes, before it begins."""
