"""Compiled particle kernels (numpy and numba only): random numbers, turbulence, met lookup, the march."""
