"""Owns how results are shown: a table for the terminal, a page with plots for the documents."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from local.bench.figures import HOURLY, VAULT_OF, WANTED, listing_reads, own_reads, per_session_day
from local.bench.plots import bars, shown
from local.bench.rounds import STEP_S

type Result = Mapping[str, Any]
type Row = Sequence[str]

_OURS = ("ours", "session check", "Graph call")


def ratio_rows(result: Result) -> list[Row]:
    """Name, figure, what is wanted, whether it is met; a dash for what was not measured."""
    rows: list[Row] = []
    for name, wanted in WANTED.items():
        figure = result["ratios"][name]
        met = "" if figure is None or wanted is None else "yes" if wanted.is_met(figure) else "no"
        rows.append((name, "-" if figure is None else shown(figure), str(wanted or ""), met))
    return rows


def text_table(result: Result) -> str:
    header: Row = ("ratio", "measured", "wanted", "met")
    rows = [header, *ratio_rows(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", f"{result['took_s']:.0f} s in all"])


def write_page(page: Path, result: Result) -> None:
    """`page` and its plots in the folder of the same name. Every section must have been measured."""
    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    for name, svg in _plots(result["sections"]).items():
        (plots / name).write_text(svg, encoding="utf-8", newline="\n")
    page.write_text("\n".join(_page(result)) + "\n", encoding="utf-8", newline="\n")


def _page(result: Result) -> Iterable[str]:
    sections, machine = result["sections"], result["machine"]
    host, quota = sections["host"], sections["quota"]
    yield "# Benchmarks"
    yield ""
    yield "Written by `python3 dev.py bench`; not by hand."
    yield ""
    yield (
        f"Measured {result['at'][:10]} on {machine['processors']} processors ({machine['system']}, Python "
        f"{machine['python']}) in {result['took_s']:.0f} s. Provider, vault and Graph are processes of their own on the "
        "same machine, over TLS. Everything beside which something is measured ran in the same run, in alternating "
        "rounds; a ratio is the median of the rounds' ratios. Absolute figures are this machine's."
    )
    yield ""
    yield from _table(("Ratio", "Measured", "Wanted", "Met"), [(f"`{row[0]}`", *row[1:]) for row in ratio_rows(result)])
    yield from _rates("Calls to the provider", "refreshes", sections["refreshes"])
    yield (
        "The bare client sends the same form and reads the answer's bytes. msal's own session keeps ten connections; the "
        "last row gives it a tuned one."
    )
    yield ""
    yield from _rates("Whole renewals", "renewals", sections["renewals"])
    yield "Read the session, ask the provider, write the new tokens; the vault has no quota. The plain loop is one thread."
    yield ""
    yield from _heading("Calls through the functions host", "host")
    loads = [(name, *_load(rounds)) for name, rounds in host["loads"].items()]
    yield from _table(("", "Requests/s", "p50 ms", "p99 ms", "CPU ms a request"), loads)
    yield (
        "The do-nothing proxy sends one token, as long as a real one, for anybody: it knows no session and changes "
        "nothing. The bare reverse proxy does the same without a functions host."
    )
    yield ""
    yield from _heading("A sweep under a vault's real write quota")
    done, failed = quota["sign_ins"]["done"], quota["sign_ins"]["failed"]
    yield (
        f"{quota['renewed']} of {quota['due']} due sessions renewed in {quota['seconds']:.1f} s, "
        f"{quota['writes_per_s']:.1f} writes/s: {quota['quota_share']:.1%} of the sweep's share, {quota['throttled']} of "
        f"its calls throttled. Meanwhile {done} sign-ins, {failed} failed, {quota['sign_ins_throttled']} of their "
        "calls throttled."
    )
    yield ""
    yield from _heading("Calls to vault and provider")
    yield from _table(("", "Provider", "Vault writes", "Vault reads"), _transactions(sections))
    yield (
        f"Idle days: {24 * 3600 // STEP_S} runs of the timer in virtual time in vaults of two sizes, and from them a "
        f"vault of {VAULT_OF:,} sessions, listed as often as the schedule says. Writes are what makes a version; "
        "everything else counts as a read. The last row is computed."
    )
    yield ""
    yield from _heading("Sweeps by number of sessions", "sizes")
    yield from _table(("Sessions", "Due", "Seconds", "Peak MiB", "Vault reads", "Vault writes"), _sizes(sections))
    yield from _heading("Starting", "startup")
    starts = [(name, shown(median(seconds))) for name, seconds in sections["startup"].items()]
    yield from _table(("", "Seconds"), starts)
    yield (
        "The first answer is a signed-in session check, its key and its session read from the vault. Both hosts are the "
        "embedded one, whose own start is part of both figures."
    )


def _rates(title: str, plot: str, section: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterable[str]:
    yield from _heading(title, plot)
    rows = [
        (name, shown(_median(rounds, "per_s")), shown(_median(rounds, "cpu_ms"))) for name, rounds in section.items()
    ]
    yield from _table(("", "Calls/s", "CPU ms a call"), rows)


def _heading(title: str, plot: str | None = None) -> Iterable[str]:
    yield f"## {title}"
    yield ""
    if plot:
        yield f"![{title}](benchmarks/{plot}.svg)"
        yield ""


def _table(header: Row, rows: Iterable[Row]) -> Iterable[str]:
    yield "| " + " | ".join(header) + " |"
    yield "| " + " | ".join("---" for _ in header) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _median(rounds: Sequence[Mapping[str, float]], what: str) -> float:
    return median(one[what] for one in rounds)


def _load(rounds: Sequence[Mapping[str, Any]]) -> Row:
    cpu = "-" if rounds[0]["cpu_ms"] is None else shown(_median(rounds, "cpu_ms"))
    return (*(shown(_median(rounds, what)) for what in ("per_s", "p50_ms", "p99_ms")), cpu)


def _transactions(sections: Mapping[str, Any]) -> Iterable[Row]:
    host, days = sections["host"], sections["day"]
    yield "A sign-in", "1", shown(host["sign_in"]["writes"]), shown(host["sign_in"]["reads"])
    yield "A warm request (writes and reads together)", "0", "", shown(host["vault_calls_per_warm_request"])
    refreshes = per_session_day(days, lambda day: day["provider"]["refresh"])
    writes = per_session_day(days, lambda day: day["vault"]["writes"])
    yield "An idle session's day, listings apart", shown(refreshes), shown(writes), shown(own_reads(days))
    yield "Its part of the day's listings", "", "", shown(listing_reads(days))
    yield "The same, everything refreshed hourly", str(HOURLY), str(HOURLY), f"{HOURLY} and the listings"


def _sizes(sections: Mapping[str, Any]) -> Iterable[Row]:
    for one in sections["sizes"]:
        peak = "-" if one["peak_mib"] is None else shown(one["peak_mib"])
        reads, writes = f"{one['reads']:,}", f"{one['writes']:,}"
        yield f"{one['sessions']:,}", f"{one['summary']['due']:,}", shown(one["seconds"]), peak, reads, writes


def _plots(sections: Mapping[str, Any]) -> Mapping[str, str]:
    def of(rounds: Mapping[str, Sequence[Mapping[str, float]]]) -> list[tuple[str, float, bool]]:
        return [(name, _median(one, "per_s"), name in _OURS) for name, one in rounds.items()]

    sizes = [(f"{one['sessions']:,} sessions", one["peak_mib"] or 0.0, True) for one in sections["sizes"]]
    starts = [(name, median(seconds), "bundle" in name) for name, seconds in sections["startup"].items()]
    return {
        "refreshes.svg": bars("Calls to the provider", of(sections["refreshes"]), "/s"),
        "renewals.svg": bars("Whole renewals", of(sections["renewals"]), "/s"),
        "host.svg": bars("Calls through the functions host", of(sections["host"]["loads"]), "/s"),
        "sizes.svg": bars("Peak memory of the process that sweeps", sizes, "MiB"),
        "startup.svg": bars("Starting", starts, "s"),
    }
