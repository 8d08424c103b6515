"""How numbers are written: rates, counts, shares, and times in the unit that reads best."""

from __future__ import annotations

_OVER_S = 10.0  # the last edge of the latency histogram: a quantile there is only known to be above
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


def count(value: float) -> str:
    """Return a whole number."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """Return what happens in a second."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004 - three digits are enough


def percent(share: float | None) -> str:
    """Return a share, to a tenth of a percent; what is not all is never written as all."""
    if share is None:
        return "-"
    return f"{min(round(share, 3), 0.999) * 100:.4g}%" if share < 1 else "100%"


def latency(seconds: float | None) -> str:
    """Return a quantile of the latency histogram."""
    return "-" if seconds is None else "over 10 s" if seconds >= _OVER_S else duration(seconds)


def duration(seconds: float) -> str:
    """Return a time: 8.2 ms, 340 ms, 2.1 s, 45 s, 12 min, 3 h 20 min, 4 d 6 h."""
    if seconds < 0.9995:  # noqa: PLR2004 - it is written as 1.0 s from here
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"  # noqa: PLR2004 - 10 s from here
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"
