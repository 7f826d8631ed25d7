"""What people open: totals, maps, reports and the page."""
