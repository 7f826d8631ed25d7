"""From reference material to datum: scales, certificates, calibration, comparison, traceability."""
