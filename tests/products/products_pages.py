"""A page of a solved world."""

from products.fields import mean_fields, step_fields
from products.periods import named_periods
from products.totals import make_totals
from products.viewer import About, Page


def make_page(w, **about):
    bounds = w.prior.flux_time_bounds.values
    both = [make_totals(w.solution, w.regions, named_periods(bounds, (kind,))) for kind in ("run", "step")]
    text = About("A city", "The city", "run-7", **about)
    return Page(mean_fields(w.solution), step_fields(w.solution), *both, text, w.sites, w.outlines)
