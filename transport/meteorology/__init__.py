"""Met readers: files of a weather model to the met cube, what they lack derived, their mass balance told."""
