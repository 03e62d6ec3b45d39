"""Names, numbers and addresses of people who do not exist.

Names are put together from invented syllables; e-mail is at example.org; telephone numbers are of 555-0100 to 555-0199,
which are set aside for fiction; national provider identifiers carry a wrong check digit. Everything follows from a
person's number, so that the same number is the same person everywhere.
"""

from __future__ import annotations

import unicodedata

_FIRST_STARTS = (
    "Aldri Bexa Corvi Dulme Elvo Fenni Garo Hesta Ilva Jorvi Kesta Luvi Merro Nolta Orvi Pella Quinno Rusta Sefa Tovi"
)
_FIRST_ENDS = "ban dell fira gorn lith mond nora quin rax sanne thea vor"
_LAST_STARTS = (
    "Ambro Belka Corvan Dravo Elspa Fenno Garvi Hesto Ilmo Jorva Kelda Lumbra Marvo Nexa Ostra Pelvo Quorra Rendu "
    "Sylpho Tarvo Ulmo Vexo Wendo Xanto Yolva Zenko Brindo Clavo Drusko Frosta Glimvo Hurlo Knavo Plimo Skarvo Trelvo"
)
_LAST_ENDS = (
    "quell thwick dovar mirr stang plume zarn bluth crail drimm fask glorn hulve jaspel kromb lisk morv nuthe oxley "
    "prask quist rindle sprock tusk umber vask wimble xell yarrow zibb brack clume dwyle frond gritch holt"
)

#: Names that files, mails and screens must survive: marks, apostrophes, hyphens, other alphabets, a comma, length.
UNUSUAL_NAMES: tuple[tuple[str, str], ...] = (
    ("Zoë", "O'Quillathwick"),
    ("Ángevo", "Ñandorquell"),
    ("Łuvka", "Żarnomirr-Vexodovar"),
    ("Jean-Tovi", "d’Elspastang"),  # noqa: RUF001 - a typographic apostrophe
    ("Rene\u0301ta", "Mu\u0308rvoplume"),  # decomposed: letter and mark are two code points
    ("Ζηνκώ", "Βρινδόμιρρ"),
    ("Ilvaquin", "Garvizarn, Jr."),
    ("Maximellavorithea", "Quorrawimblethwick-Sylphohulvedrimm-Ostrafrond"),
)

_AREA_CODES = ("617", "312", "415")


def full_name(number: int) -> tuple[str, str]:
    """Answer first and last name of person ``number``; last names repeat only after 1,296 people."""
    first_starts, first_ends = _FIRST_STARTS.split(), _FIRST_ENDS.split()
    last_starts, last_ends = _LAST_STARTS.split(), _LAST_ENDS.split()
    # The strides have no divisor in common with the lengths: each combination comes up once before any repeats.
    combination = number * 7919 % (len(first_starts) * len(first_ends))
    first = first_starts[combination % len(first_starts)] + first_ends[combination // len(first_starts)]
    combination = number * 5237 % (len(last_starts) * len(last_ends))
    last = last_starts[combination % len(last_starts)] + last_ends[combination // len(last_starts)]
    return first, last


def email(first: str, last: str, number: int) -> str:
    """Answer an address at example.org, in plain letters, different for every number."""

    def plain(text: str) -> str:
        letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
        return "".join(letter for letter in letters.lower() if letter.isalnum())

    name = ".".join(part for part in (plain(first), plain(last)) if part) or "somebody"
    return f"{name[:40]}.{number}@example.org"


def phone(number: int, campus: int) -> str:
    """Answer a telephone number for fiction, with the area code of the campus."""
    return f"{_AREA_CODES[campus % len(_AREA_CODES)]}-555-01{number % 100:02d}"


def wrong_npi(number: int) -> str:
    """Answer ten digits that look like a national provider identifier and fail its check digit."""
    stem = f"1{number * 7_919_117 % 10**8:08d}"
    return f"{stem}{(npi_check_digit(stem) + 1 + number % 9) % 10}"


def npi_check_digit(stem: str) -> int:
    """Answer the check digit for nine digits: the Luhn formula over "80840" and the digits (45 CFR 162.406)."""
    total = 0
    for place, digit in enumerate(reversed(f"80840{stem}")):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled // 10 + doubled % 10
    return -total % 10


def employee_number(number: int) -> str:
    """Answer seven digits with leading zeros: a spreadsheet that takes it for a number does damage."""
    return f"{number * 37 + 4711:07d}"


def epic_provider_id(number: int) -> str:
    """Answer an Epic SER .1 ID: six digits."""
    return f"{200_000 + number * 53}"


def kronos_person_number(number: int) -> str:
    """Answer a Kronos person number: eight digits with leading zeros."""
    return f"{number * 48_611 % 10**8:08d}"


def tigerconnect_user(number: int) -> str:
    """Answer a TigerConnect user ID."""
    return f"tc-{number * 7 + 1000:06d}"


#: The messaging partners of ``personnel_ids.csv`` and how each writes a user.
_PARTNER_ID = {
    "perfectserve": "PS{:06d}",
    "spok": "{:07d}",
    "amtelco": "AGT-{:05d}",
    "voalte": "voalte.{:05d}",
    "vocera": "U-{:06d}",
    "epic_secure_chat": "EMP{:06d}",
}
MESSAGING_PARTNERS = tuple(_PARTNER_ID)


def partner_user(partner: str, number: int) -> str:
    """Answer a person's user ID at a messaging partner."""
    return _PARTNER_ID[partner].format(number * 11 + 17)
