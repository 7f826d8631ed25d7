"""Footprints of other models (STILT, FLEXPART, NAME, OpenGHG) in, ours out in STILT's layout."""
