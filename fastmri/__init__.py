"""Physics and data of single-coil Cartesian MRI: everything that needs no network."""
