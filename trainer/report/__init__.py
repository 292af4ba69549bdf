"""The paper on validated runs."""
