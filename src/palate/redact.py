"""Personal data in texts that people write, masked: addresses, numbers and names that point at one person.

The rules stand in ``redact.toml``, in English and Chinese; each leaves ``[kind]`` where it found something: e-mail,
links with a password in them, bank and identity numbers, telephone numbers, addresses of machines, accounts of
messengers, number plates, streets with a house number, and a name that somebody gives themselves ("my name is …",
"我叫…"). No rule knows every name: what is said of others in passing stays.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path


def _luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


_CHECKS: dict[str, Callable[[str], bool]] = {
    "card": lambda digits: 13 <= len(digits) <= 19 and _luhn(digits),
    "phone": lambda digits: 8 <= len(digits) <= 15,
    "ip": lambda digits: True,
}


@functools.cache
def _rules() -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
    text = (Path(__file__).parent / "redact.toml").read_text(encoding="utf-8")
    return [
        (
            re.compile(rule["pattern"], 0 if rule.get("case") else re.IGNORECASE),
            functools.partial(_masked, rule["kind"], _CHECKS.get(rule.get("check", ""))),
        )
        for rule in tomllib.loads(text)["rule"]
    ]


def _masked(kind: str, check: Callable[[str], bool] | None, found: re.Match[str]) -> str:
    if check is not None and not check(re.sub(r"\D", "", found[0])):
        return found[0]
    return f"{found[1] if found.re.groups else ''}[{kind}]"


def redact(text: str) -> str:
    """``text`` with personal data masked. Cost: some 30 µs for a sentence."""
    for pattern, mask in _rules():
        text = pattern.sub(mask, text)
    return text
