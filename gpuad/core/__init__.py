"""What a primitive is, which transformation sees it, how it is recorded and swept."""
