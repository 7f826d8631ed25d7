"""Lagrangian transport: met readers, particles, footprints, Jacobian."""
