"""``python -m tests.faults.table``: the figures of ``build/faults`` into the table of ``docs/reliability.md``.

A row without figures there stays as it is, so that the soak may be run on another day.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "reliability.md"

ROWS: dict[str, tuple[str, str, str]] = {
    "R1": (
        "kill -9 under load, of the service and of a program with the library",
        """{cycles} kills at {events_per_s} events/s: of {acknowledged} acknowledged {lost} lost, {doubled} doubled, the
        state equal to a replay after each; ready after {ready_s_median} s (median; {ready_cpu_s} s of CPU),
        {ready_s_max} s (most). Library: {library_cycles} kills, {library_acknowledged} acknowledged, none lost""",
        "0 lost, 0 doubled; ready in 3 s",
    ),
    "R2": (
        "the power goes: what was not synced is gone, there, or torn by sectors",
        """`durable`: {durable_cuts} cuts, {durable_lost} lost; `fast`: {fast_cuts} cuts, of which
        {fast_cuts_that_lost_events} cost events, at most those of the last {fast_lost_s_max} s; models, snapshots and
        flushed decisions as promised""",
        "`durable`: 0 lost; `fast`: 1 s",
    ),
    "R3": (
        "EIO when syncing, EIO when writing, ENOSPC; a file system that is full",
        """{sync_refused}, {write_refused} and {full_refused} posts refused with 503, none acknowledged; meanwhile
        {sync_rankings_meanwhile}, {write_rankings_meanwhile} and {full_rankings_meanwhile} rankings; events taken again
        {sync_recovered_s}, {write_recovered_s} and {full_recovered_s} s after the disk was well""",
        "503, no acknowledgement, rankings go on",
    ),
    "R4": (
        "each event three times, shuffled, 8 connections, restarts",
        """{events} events sent {sent} times over {restarts} restarts, {sent_again} requests without an answer: equal to
        one clean pass""",
        "equal to one clean pass",
    ),
    "R5": (
        "events up to 24 h late, clocks a day ahead",
        """{late_events} late: equal to one clean pass; {clocks_ahead} of tomorrow: {clamped} clamped and counted""",
        "equal; clamped and counted",
    ),
    "R6": (
        "five times what can be answered, open loop",
        """Rankings: {rank_taken_per_s}/s of at most {rank_per_s_at_most}/s taken, {rank_refused} refused; p99 after the
        first second {rank_p99_ms_overloaded} ms, {rank_p99_ms_at_half} ms at half load ({rank_p99_ratio} ×); memory
        +{rank_memory_grown_percent} %; all taken again after {rank_recovered_s} s. Posts of 200 events:
        {events_taken_per_s}/s of {events_per_s_at_most}/s, {events_refused} refused; p99 {events_p99_ms_overloaded} ms,
        {events_p99_ms_at_half} ms ({events_p99_ratio} ×); memory +{events_memory_grown_percent} %;
        {events_recovered_s} s""",
        "429 with Retry-After; p99 2 ×; memory +20 %; 5 s",
    ),
    "R8": (
        "model swaps under load; every file of a model damaged in every way",
        """{swaps} swaps at {rankings_per_s} rankings/s: {errors} errors in {rankings}, {mixed} mixed; rollback
        {rollback_s_max} s at most; {damaged_refused} damaged ones refused, the old model stayed""",
        "0 errors; one version an answer; rollback 1 s",
    ),
    "R9": (
        "SIGTERM under load",
        """{rounds} times, {requests} requests: {dropped} dropped, {lost} lost; `/readyz` off within {unready_s_max} s,
        ended after {ended_s_max} s at most; exit status {exit_status}""",
        "off at once; 10 s; 0 dropped; exit 0",
    ),
    "R10": (
        "snapshots under writes, then restored",
        """{snapshots} while {events} events came: equal to replays; restored in {restored_s_a_million} s a million
        events, from the log alone in {replayed_s_a_million} s""",
        "equal; 60 s a million",
    ),
    "R11": (
        "directories of earlier formats; killed while opening them",
        """{opened} archives open with all that was in them; killed {killed_while_opening} times on the way, and
        {killed_in_migration} times while a log of {events_in_migration} events was brought from format 1 to 2: {lost}
        lost""",
        "opens, or refuses clearly",
    ),
    "R12": (
        "an event that can't be folded; killed between commit and fold",
        """none found in {examples} generated logs; one made up costs itself alone, whatever batch it is in; effects
        after the crash: {effects_after_a_crash_before_the_fold}""",
        "dead-lettered; effects once",
    ),
    "R14": (
        "half of what it can take, all kinds of requests",
        """{minutes} minutes at {requests_per_s} requests/s: {errors} errors in {requests}, p99 {p99_ms} ms; memory
        {memory_mb} MB, {memory_percent_in_10_min} % in ten minutes; descriptors {descriptors}, threads {threads}""",
        "1 % in ten minutes; descriptors flat",
    ),
}
"""What was done, what was measured, what is asked."""


class _Told(dict[str, Any]):
    """Figures as they read in a sentence."""

    def __missing__(self, key: str) -> str:
        return "(not measured)"


def line(row: str, figures: dict[str, Any]) -> str:
    """A row of the table."""
    told = _Told()
    for name, value in figures.items():
        told[name] = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, list):
            told[name] = " → ".join(map(str, value))
    what, measured, asked = ROWS[row]
    return f"| {row} | {what} | {' '.join(measured.split()).format_map(told)} | {asked} |"


def main() -> None:
    """Rewrite the rows that there are figures of."""
    page = PAGE.read_text(encoding="utf-8")
    for file in sorted(FIGURES.glob("R*.json")):
        fresh = line(file.stem, json.loads(file.read_text()))
        page, count = re.subn(rf"^\| {file.stem} \|.*$", lambda _, fresh=fresh: fresh, page, flags=re.M)
        if count != 1:
            sys.exit(f"{PAGE} has no row {file.stem} to be rewritten.")
        sys.stdout.write(f"{fresh}\n")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
