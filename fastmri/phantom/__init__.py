"""A knee that varies from volume to volume: anatomy in millimetres, tissues, contrasts, coil."""
