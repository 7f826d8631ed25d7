"""Flux lidar: Doppler and DIAL files, wind profiles, mixing height, and the flux through a plane."""
