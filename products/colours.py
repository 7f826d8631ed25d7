"""Colour maps with even steps of lightness, the same on printed maps and on the page.

Built in the OKLab space (Ottosson 2020, "A perceptual color space for image processing"), where equal steps
of the first coordinate look like equal steps of lightness.
"""

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap

Floats = npt.NDArray[np.float64]

# OKLab (lightness, green-red, blue-yellow)
_SEQUENTIAL = (
    (0.985, 0.000, 0.012),
    (0.86, 0.035, 0.105),
    (0.68, 0.120, 0.095),
    (0.46, 0.130, 0.010),
    (0.23, 0.045, -0.060),
)
_BELOW = ((0.34, -0.030, -0.110), (0.62, -0.045, -0.085), (0.97, 0.0, 0.0))
_ABOVE = ((0.97, 0.0, 0.0), (0.62, 0.115, 0.080), (0.34, 0.095, 0.050))
_INFORMATION = ((0.975, 0.0, 0.004), (0.78, -0.070, 0.030), (0.56, -0.080, -0.020), (0.30, -0.025, -0.070))
_DOUBT = ((0.985, 0.0, 0.003), (0.80, 0.008, -0.050), (0.58, 0.040, -0.105), (0.30, 0.050, -0.090))


def oklab_to_srgb(lab: Floats) -> Floats:
    """Return sRGB (0-1) of OKLab colours, shape (n, 3); one outside sRGB is an error of the tables above."""
    to_lms = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = ((lab @ to_lms.T) ** 3) @ to_rgb.T
    if linear.min() < -0.01 or linear.max() > 1.01:
        raise ValueError(f"colour outside sRGB: linear values {linear.min():.3f} to {linear.max():.3f}")
    linear = np.clip(linear, 0, 1)  # the tolerance above is rounding of the conversion
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def sequential() -> ListedColormap:
    """Return white, amber, red, violet: for fluxes."""
    return _map("emission", _even(_SEQUENTIAL, 256))


def diverging() -> ListedColormap:
    """Return blue, white, red with white in the middle: for changes and signed fluxes."""
    return _map("change", np.vstack([_even(_BELOW, 128), _even(_ABOVE, 128)]))


def information() -> ListedColormap:
    """Return white to deep teal: for what the data told."""
    return _map("information", _even(_INFORMATION, 256))


def doubt() -> ListedColormap:
    """Return white to violet: for standard uncertainties."""
    return _map("doubt", _even(_DOUBT, 256))


def hex_table(colours: ListedColormap, n: int) -> list[str]:
    """Return n colours of a map as #rrggbb."""
    rgb = np.asarray(colours(np.linspace(0, 1, n)))[:, :3]
    return ["#" + "".join(f"{round(255 * float(c)):02x}" for c in row) for row in rgb]


def _even(anchors: tuple[tuple[float, float, float], ...], n: int) -> Floats:
    """Return n OKLab colours through the anchors, evenly spaced in lightness."""
    table = np.array(anchors)
    lightness = np.linspace(table[0, 0], table[-1, 0], n)
    order = np.argsort(table[:, 0])
    hue = [np.interp(lightness, table[order, 0], table[order, c]) for c in (1, 2)]
    return np.column_stack([lightness, *hue])


def _map(name: str, lab: Floats) -> ListedColormap:
    return ListedColormap(oklab_to_srgb(lab), name=name)
