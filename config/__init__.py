"""Options: what there is to set, with defaults, units and ranges, and how it is loaded."""
