"""Why training stops before its end, in one line."""


class TrainingError(RuntimeError):
    """Training cannot continue; the message says why and what may help."""


class DivergedError(TrainingError):
    """Loss or weights are not finite any more; the message says in which epoch and step, and where it began."""
