"""Numbers of files: what is one, and what only looks like it."""

import math


def finite(value: object) -> float | None:
    """The number; None for what is no number, is not finite, or passes a float.

    Example:
        >>> finite(2), finite(True), finite(10**400), finite(float("nan"))
        (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
