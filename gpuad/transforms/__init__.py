"""What users call: each transformation is an interpreter of the primitives, put to use."""
