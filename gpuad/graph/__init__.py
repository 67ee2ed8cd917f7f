"""A recorded program: what it reads from around it, how it gets simpler, and the text that replays it."""
