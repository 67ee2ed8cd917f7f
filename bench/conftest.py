"""``pytest bench`` measures everything; ``pytest bench -k goal`` only what goals are stated for."""

import bench  # noqa: F401 - one thread, before NumPy is imported
