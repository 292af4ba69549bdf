"""The smooth phase that coils and field inhomogeneity give to MR images."""

import numpy as np

LINEAR, QUADRATIC, WAVES = 0.8, 0.5, 0.4  # radians at the edge of the field of view, standard deviations


def smooth_phase(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Random phase in radians, float32 (S, H, W): a quadratic and a few slow waves, smooth over slices."""
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True
    )
    phase = np.full(shape, rng.uniform(-np.pi, np.pi), dtype=np.float32)
    for term in (x, y, z):
        phase += np.float32(rng.normal(0, LINEAR)) * term
    for term in (x * x, y * y, x * y, x * z, y * z):
        phase += np.float32(rng.normal(0, QUADRATIC)) * term
    for _ in range(4):  # at most a cycle over the field of view
        ky, kx, kz = rng.uniform(-np.pi, np.pi, 3).astype(np.float32)
        amplitude, start = np.float32(rng.normal(0, WAVES)), np.float32(rng.uniform(-np.pi, np.pi))
        phase += amplitude * np.cos(kx * x + ky * y + 0.5 * kz * z + start)
    return phase
