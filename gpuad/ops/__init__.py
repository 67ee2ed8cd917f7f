"""The primitives, each stated once: how it is computed, and its derivative."""
