"""Mixing height by a Doppler lidar: variance of w, or the edge of the aerosol, or "cannot say"."""

from dataclasses import dataclass

import numpy as np

from metroflux.errors import DataError
from observations.flux_lidar.rays import Floats

_LAGS = 5


@dataclass(frozen=True)
class MixingHeight:
    """A mixing height above the lidar, or why there is none.

    height, sd : m; NaN if the lidar cannot say
    reason : why it cannot say; empty if it can
    """

    height: float
    sd: float
    reason: str = ""


def cannot_say(reason: str) -> MixingHeight:
    """Return the absence of a mixing height with its reason."""
    return MixingHeight(np.nan, np.nan, reason)


def vertical_variance(w: Floats) -> tuple[Floats, Floats]:
    """Return variance of the vertical wind and its standard uncertainty, m2 s-2, shape (gate,) each.

    Noise is taken out by extending the autocovariance of lags 1 to 4 to lag 0 by the two-thirds law of the
    inertial range (Lenschow et al. 2000); the sd is Bartlett's, 2/n sum c_k^2, noise included.

    Parameters
    ----------
    w : evenly spaced rays that point up, m s-1, shape (ray, gate), without NaN

    Raises
    ------
    DataError
        If there are fewer than 30 rays or values are missing.
    """
    n = w.shape[0]
    if n < 30 or not np.isfinite(w).all():
        raise DataError(
            f"variance of w: {n} rays, {int(np.isnan(w).sum())} missing; expected 30 or more, whole"
        )
    away = w - w.mean(axis=0)
    most = min(n // 4, 120)
    cov = np.stack([np.sum(away[: n - k] * away[k:], axis=0) / (n - k) for k in range(most)])
    lags = np.arange(1, _LAGS) ** (2.0 / 3.0)
    design = np.stack([np.ones(_LAGS - 1), -lags], axis=1)
    variance = np.linalg.lstsq(design, cov[1:_LAGS], rcond=None)[0][0]
    return variance, np.sqrt(2.0 / n * (cov[0] ** 2 + 2.0 * np.sum(cov[1:] ** 2, axis=0)))


def from_variance(
    height: Floats, variance: Floats, sd: Floats, threshold: float = 0.16, threshold_sd: float = 0.06
) -> MixingHeight:
    """Return the height up to which the variance of w stays above a threshold.

    0.16 m2 s-2 is the limit of convective mixing of Schween et al. (2014), others take 0.04 to 0.2: its
    choice is part of the uncertainty, with the sampling of the variance and the length of a gate.

    Parameters
    ----------
    height : m, rising, shape (gate,); variance, sd : m2 s-2; NaN where missing
    """
    known = np.isfinite(variance) & np.isfinite(sd)
    if known.sum() < 3 or not known[:3].all():
        return cannot_say("the lowest gates have no variance")
    top = int(np.argmin(known)) if not known.all() else known.size
    above = variance[:top] > threshold
    if not above[0]:
        return cannot_say(f"no convective mixing at {height[0]:.0f} m: the top, if any, is below")
    if above.all():
        return cannot_say(f"still mixed at {height[top - 1]:.0f} m, the last gate with a signal")
    k = int(np.argmin(above))
    slope = (variance[k - 1] - variance[k]) / (height[k] - height[k - 1])
    z = float(height[k - 1] + (variance[k - 1] - threshold) / slope)
    crossing_sd = float(max(sd[k - 1], sd[k]))
    gate = (height[k] - height[k - 1]) / np.sqrt(12.0)
    # the layer's own slope: the two gates of the crossing alone may be steep or flat by chance
    low, high = max(k - 3, 0), min(k + 2, top - 1)
    slope = max((variance[low] - variance[high]) / (height[high] - height[low]), 0.0)
    if slope == 0:
        return cannot_say(f"the variance does not fall about {z:.0f} m")
    z_sd = float(np.sqrt((crossing_sd**2 + threshold_sd**2) / slope**2 + gate**2))
    return (
        MixingHeight(z, z_sd) if z_sd < 0.5 * z else cannot_say(f"{z:.0f} m would have an sd of {z_sd:.0f} m")
    )


def from_aerosol(height: Floats, backscatter: Floats, dilation: float = 300.0) -> MixingHeight:
    """Return the height of the strongest fall of the aerosol, by the Haar wavelet (Cohn and Angevine 2000).

    Each block of time gives one height; their spread over the root of their number, and the gate, make sd.

    Parameters
    ----------
    height : m, evenly spaced, shape (gate,)
    backscatter : attenuated and range-corrected, shape (block, gate), blocks long enough to be independent
    dilation : width of the wavelet, m
    """
    step = height[1] - height[0]
    half = round(0.5 * dilation / step)
    if half < 2 or height.size < 4 * half or backscatter.shape[0] < 3:
        return cannot_say("too few gates or blocks for the wavelet")
    if not (np.isfinite(backscatter).all() and (backscatter.mean(axis=1) > 0).all()):
        return cannot_say("backscatter is missing or not positive")
    scaled = backscatter / backscatter.mean(axis=1, keepdims=True)
    kernel = np.concatenate([np.full(half, -1.0), np.full(half, 1.0)]) / half
    falls = np.stack([np.convolve(row, kernel, "valid") for row in scaled])
    at = 0.5 * (height[half - 1 : half - 1 + falls.shape[1]] + height[half : half + falls.shape[1]])
    mean, error = falls.mean(axis=0), falls.std(axis=0, ddof=1) / np.sqrt(len(falls))
    peak = int(mean.argmax())
    if peak in (0, mean.size - 1):
        return cannot_say(f"the aerosol falls most at the edge of what is seen, {at[peak]:.0f} m")
    if mean[peak] < 3.0 * float(np.median(error)) or mean[peak] < 0.1:
        return cannot_say("no edge of the aerosol stands out of the noise")
    far = np.abs(at - at[peak]) > dilation
    if far.any() and mean[far].max() > 0.8 * mean[peak]:
        return cannot_say(f"two edges alike: {at[peak]:.0f} m and {at[far][mean[far].argmax()]:.0f} m")
    blocks = at[falls.argmax(axis=1)]
    z_sd = float(np.sqrt(blocks.var(ddof=1) / blocks.size + step**2 / 12.0))
    return MixingHeight(float(at[peak]), z_sd) if z_sd < 0.5 * at[peak] else cannot_say("blocks disagree")
