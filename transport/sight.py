"""Lines of sight: where the gates of a lidar and the layers of a slant column lie."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import Transformer

from metroflux.errors import DataError
from transport.met import crs_of, to_xy

Floats = npt.NDArray[np.float64]

GATE_POINTS = 5
"""Release points of a range gate, at the middles of as many equal pieces."""

_RADIUS = 6_371_000.0  # m: only to find a distance, whose place is then exact


@dataclass(frozen=True)
class Sight:
    """A straight line from an instrument; refraction is left out (5 m at 10 km and 5 degrees up).

    longitude, latitude : of the instrument, degrees, WGS84
    altitude : of the instrument, m above sea level (taken as the ellipsoid: only differences are used)
    azimuth : degrees clockwise from true north; elevation : degrees above the horizon
    """

    longitude: float
    latitude: float
    altitude: float
    azimuth: float
    elevation: float

    def at(self, distance: Floats) -> tuple[Floats, Floats, Floats]:
        """Return longitude, latitude (degrees) and altitude (m) at distances along the line (m).

        The line is straight in geocentric coordinates; its direction is east, north, up at the instrument.
        """
        lon, lat, up, turn = np.radians([self.longitude, self.latitude, self.elevation, self.azimuth])
        east, north, rise = np.cos(up) * np.sin(turn), np.cos(up) * np.cos(turn), np.sin(up)
        outward = rise * np.cos(lat) - north * np.sin(lat)
        along = np.array([
            outward * np.cos(lon) - east * np.sin(lon),
            outward * np.sin(lon) + east * np.cos(lon),
            rise * np.sin(lat) + north * np.cos(lat),
        ])  # fmt: skip
        geocentric = _geocentric()
        start = np.array(geocentric.transform(self.longitude, self.latitude, self.altitude))
        place = start[:, None] + along[:, None] * np.asarray(distance, dtype=np.float64)
        longitude, latitude, altitude = geocentric.transform(
            place[0], place[1], place[2], direction="INVERSE"
        )
        return np.asarray(longitude), np.asarray(latitude), np.asarray(altitude)

    def distance_to(self, altitude: Floats) -> Floats:
        """Return how far along the line (m) an altitude (m, above the instrument's) is reached, on a sphere.

        From the law of cosines: (R + h)^2 = R^2 + r^2 + 2 R r sin(elevation), R to the instrument.
        """
        rise = np.asarray(altitude, dtype=np.float64) - self.altitude
        toward = (_RADIUS + self.altitude) * np.sin(np.radians(self.elevation))
        return np.sqrt(toward**2 + rise * (2.0 * (_RADIUS + self.altitude) + rise)) - toward


@lru_cache(maxsize=1)
def _geocentric() -> Transformer:
    """Return longitude, latitude, height on WGS84 to geocentric coordinates."""
    return Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


@dataclass(frozen=True)
class Ground:
    """Where places on the earth lie in a met cube."""

    met: xr.Dataset

    def x_y(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return the cube's coordinates, m."""
        return to_xy(crs_of(self.met), longitude, latitude)

    def altitude(self, x: Floats, y: Floats) -> Floats:
        """Return the terrain (m above sea level), bilinear between grid points; NaN outside of the cube."""
        terrain = self.met.terrain.astype(np.float64)
        return np.asarray(terrain.interp(x=("place", np.atleast_1d(x)), y=("place", np.atleast_1d(y))).values)


def sight_from(
    ground: Ground, place: tuple[float, float], height: float, azimuth: float, elevation: float
) -> Sight:
    """Return the line of sight of an instrument `height` m above the met's ground at (longitude, latitude).

    Raises
    ------
    DataError
        If the elevation is not within -90 to 90 degrees or the azimuth not finite.
    """
    if not (-90.0 <= elevation <= 90.0 and np.isfinite(azimuth)):
        raise DataError(
            f"azimuth = {azimuth:g}, elevation = {elevation:g}; expected degrees, elevation -90 to 90"
        )
    x, y = ground.x_y(np.array([place[0]]), np.array([place[1]]))
    return Sight(place[0], place[1], float(ground.altitude(x, y)[0]) + height, azimuth, elevation)


def gate_ranges(middle: float, length: float) -> tuple[Floats, Floats]:
    """Return distances (m) and weights of the points of a range gate, all parts of which count alike.

    Raises
    ------
    DataError
        If the gate is not wholly before the instrument.

    >>> gate_ranges(100.0, 50.0)[0]
    array([ 80.,  90., 100., 110., 120.])
    """
    if not (length >= 0.0 and middle >= 0.5 * length):
        raise DataError(
            f"range = {middle:g} m, gate_length = {length:g} m; expected 0 <= length / 2 <= range"
        )
    if length == 0.0:
        return np.array([middle]), np.ones(1)
    share = (np.arange(GATE_POINTS) + 0.5) / GATE_POINTS - 0.5
    return middle + length * share, np.full(GATE_POINTS, 1.0 / GATE_POINTS)


def place_at(sight: Sight, ground: Ground, distance: Floats) -> tuple[Floats, Floats, Floats]:
    """Return x, y and height above the met's ground (m) at distances along a line of sight.

    Raises
    ------
    DataError
        If a point lies in the ground.
    """
    lon, lat, altitude = sight.at(distance)
    x, y = ground.x_y(lon, lat)
    height = altitude - ground.altitude(x, y)
    under = height < 0.0
    if under.any():
        raise DataError(
            f"the line of sight is {-height[under][0]:.0f} m under the met's ground "
            f"at {distance[under][0]:g} m"
        )
    return x, y, height


def place_at_height(sight: Sight, ground: Ground, height: Floats) -> tuple[Floats, Floats]:
    """Return x and y (m) where a line of sight passes heights above the ground below it (m).

    Heights below the instrument are taken at the instrument.

    Raises
    ------
    DataError
        If the line does not rise.
    """
    if not sight.elevation > 0.0:
        raise DataError(f"elevation = {sight.elevation:g}; expected above the horizon to pass a height")
    below = np.full(height.shape, sight.altitude)
    for _ in range(3):  # the ground under the line changes a height by far less than the line rises
        lon, lat, _ = sight.at(np.maximum(sight.distance_to(below + height), 0.0))
        x, y = ground.x_y(lon, lat)
        below = ground.altitude(x, y)
    return x, y
