"""Reconstruction networks and loss terms; they know the physics, but no file, config or trainer."""
