"""Inventories on the flux grid: readers, conservative regridding, regions, prior uncertainty.

read_cf, read_openmethane, read_regional, read_point_sources -> join -> apply_profiles -> with_sd.
Plants with tall stacks go beside the fluxes: read_elevated_sources.
"""
