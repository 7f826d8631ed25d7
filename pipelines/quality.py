"""The section of the configuration about quality control of observations."""

from pydantic import Field

from pipelines.fields import InputFile, Section
from pipelines.sections import NotNegative, Positive, Unit


class Spikes(Section):
    """A Hampel filter: values far from the median of their neighbours, in robust standard deviations."""

    window_s: Positive = Field(description="width of the window around a datum, s")
    threshold: Positive = Field(
        default=5.0, description="distance from the median in robust standard deviations, 1"
    )
    floor: NotNegative = Field(default=0.0, description="least standard deviation, in `unit`")
    minimum: int = Field(default=7, ge=3, description="data that a window needs to judge")


class WarmUp(Section):
    """The first data after a gap."""

    gap_s: Positive = Field(description="a longer gap than this counts, s")
    length_s: Positive = Field(description="how long the data after it are flagged, s")


class Quality(Section):
    """Quality control: what is flagged beside the provider's own flags; nothing is deleted."""

    edits: InputFile | None = Field(
        default=None, description="CSV of manual edits: site, instrument, start, end, reason, who, when"
    )
    unit: Unit = Field(default="ppm", description="unit of the limits and of the spikes' floor")
    limits: tuple[float, float] | None = Field(
        default=None, description="least and greatest mole fraction at these sites, in `unit`"
    )
    warm_up: WarmUp | None = Field(default=None, description="data after a gap; none: used")
    flush_s: Positive | None = Field(
        default=None, description="data flagged after a change of inlet, s; none: used"
    )
    spikes: Spikes | None = Field(default=None, description="spike filter; none: off")
