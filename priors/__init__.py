"""Inventories on the flux grid: readers, conservative regridding, regions, prior uncertainty."""
