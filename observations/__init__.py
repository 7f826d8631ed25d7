"""Towers, columns, flux lidar and stack monitors: readers, quality flags, background, error components."""
