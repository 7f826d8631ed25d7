"""The header that ICOS ATC and ICOS Cities files have in common: `# KEY: value` and remarks, all counted."""

import re
from dataclasses import dataclass
from pathlib import Path

from metroflux.errors import DataError
from observations import raw


@dataclass(frozen=True)
class Header:
    """A header as it stands.

    entries : value of each `# KEY:`
    remarks : the other lines, as one text
    names : columns, by the header's last line
    lines : how many lines it has
    """

    entries: dict[str, str]
    remarks: str
    names: tuple[str, ...]
    lines: int


def read_header(path: Path, lines: list[str]) -> Header:
    """Return the header of a file.

    Raises
    ------
    DataError
        If there is none, or the counts of lines it gives contradict the file.

    Warns
    -----
    TruncatedFileWarning
        If the file has fewer lines than its header says.
    """
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if count < 2:
        raise DataError(f"{path}: no header of '#' lines; expected an ICOS ATC file")
    pairs = [re.match(r"#\s*([A-Z][A-Z /]+):\s*(.*)", line) for line in lines[:count]]
    entries = {match[1].strip(): match[2].strip() for match in pairs if match}
    remarks = " ".join(line for line, match in zip(lines, pairs, strict=False) if not match)
    said = entries.get("HEADER LINES", "")
    if said != str(count):
        raise DataError(f"{path}: {count} header lines, but 'HEADER LINES' says '{said}'")
    _check_total(path, entries.get("TOTAL LINES", ""), len(lines))
    names = tuple(name.strip() for name in lines[count - 1].lstrip("#").split(";"))
    return Header(entries, remarks, names, count)


def _check_total(path: Path, said: str, found: int) -> None:
    if not said.isdecimal():
        raise DataError(f"{path}: 'TOTAL LINES' is '{said}'; expected a number")
    if int(said) > found:
        raw.warn_truncated(f"{path}: truncated: {found} lines of the {said} that its header says")
    elif int(said) < found:
        raise DataError(f"{path}: {found} lines, but 'TOTAL LINES' says {said}")


def require(path: Path, header: Header, keys: tuple[str, ...]) -> None:
    """Stop if the header lacks any of the keys."""
    faults = [f"no '{key}'" for key in keys if key not in header.entries]
    if faults:
        raise DataError(f"{path}: header has {', '.join(faults)}; expected an ICOS ATC file")


def zone_fault(header: Header) -> str:
    """Return what is wrong with the time zone, empty if times are UTC.

    Real headers contradict themselves: 'TIME ZONE: UTC +1' or 'Central European Time' is where the station
    stands, while the remark 'Times are UTC' is true (ICOS ATC near-real-time files of Hohenpeissenberg 2024;
    ICOS Cities files of Munich, whose diurnal cycle settles it). The remark decides; without it the entry.
    """
    remark = re.search(r"Times are (UTC(?:\s*[+-]\s*\d[\d:]*)?)", header.remarks)
    said = remark[1] if remark else header.entries["TIME ZONE"]
    if re.sub(r"[\s.]", "", said) in ("UTC", "UTC+0", "UTC+00:00"):
        return ""
    return f"'TIME ZONE' is '{header.entries['TIME ZONE']}', expected UTC"
