"""The twelve programs, each as a user of gpuad would write it.

A module has ``read``, which makes the arguments of its functions out of a message, ``FUNCTIONS`` by name, and where
the result isn't the answer yet ``write``, which makes it that. Only the functions are timed.
"""
