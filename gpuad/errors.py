"""The errors gpuad raises, each a kind of the built-in error that a caller would expect."""


class NotDifferentiableError(TypeError):
    """A value that has no gradient was asked for one: integers, strings, a non-scalar result."""


class UnsupportedError(NotImplementedError, TypeError):
    """An operation that gpuad can't differentiate met a traced array."""


class MissingRuleError(UnsupportedError):
    """A primitive has no derivative rule for an argument that is being differentiated."""


class RuleError(ValueError):
    """A derivative rule returned a cotangent that can't belong to its argument."""


class LeakedTracerError(RuntimeError):
    """A traced array was used after the function that it belongs to had returned."""


class ModifiedConstantError(RuntimeError):
    """An array was written into between its use in a differentiated function and the computation of the derivative."""


class BackendError(RuntimeError):
    """A backend was asked for that doesn't exist or can't run here."""


class MissingFunctionError(AttributeError, NotImplementedError):
    """The library behind a backend lacks a function."""


class MixedBackendError(TypeError):
    """Arrays of two backends met in one operation."""


class SavedFileError(ValueError):
    """A file isn't one that ``gpuad.jit(f).save`` has written, or not one for this version of gpuad."""


class NotRecordedError(LookupError):
    """A function that was loaded from a file was called in a way that the file has no recording of."""
