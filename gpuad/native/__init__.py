"""Programs on small arrays as one function in C."""
