"""What `metroflux observations inspect` prints, one file for each kind of file it knows."""
