"""Readers of published formats, one family per file; `observations.recognise` tells them apart by content."""
