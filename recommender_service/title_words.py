"""Takes titles and queries apart into words, so that both have the same ones however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

APOSTROPHES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]")
NUMERALS = dict(zip("ii iii iv vi vii viii ix xi xii xiii".split(), "2 3 4 6 7 8 9 11 12 13".split(), strict=True))

# Letters of scripts that write no spaces: Thai and Lao, Burmese, Khmer, kana, Chinese characters.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
RUN = re.compile(rf"(?:(?=\w)[{UNSPACED}])+|[^\W{UNSPACED}]+")
IS_UNSPACED = re.compile(f"[{UNSPACED}]")

# How Unicode names the Latin letters that have no decomposition, such as LATIN SMALL LETTER L WITH STROKE for ł.
LETTER = re.compile("LATIN SMALL (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2}|ETH|THORN|ENG)(?: WITH .*)?")
OLD_LETTERS = {"ETH": "d", "THORN": "th", "ENG": "n"}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without accents and punctuation, Roman numerals as Arabic ones.

    Where a script writes no spaces, each two neighbouring characters are a word, as nothing tells where a word ends.
    """
    words: list[str] = []
    for run in _runs(text):
        if len(run) > 2 and IS_UNSPACED.match(run):
            words += map("".join, pairwise(run))
        else:
            words.append(NUMERALS.get(run, run))
    return words


def other_words_of(text: str) -> Iterator[str]:
    """Words by which a text is found too: "spiderman" of "Spider-Man", and single characters of unspaced scripts."""
    for part in text.split():
        runs = list(_runs(part))
        if len(runs) > 1 and not IS_UNSPACED.search("".join(runs)):
            yield "".join(words_of(part))
        for run in runs:
            if len(run) > 1 and IS_UNSPACED.match(run):
                yield from run


def _runs(text: str) -> list[str]:
    """What is between spaces and punctuation, and between scripts that write spaces and scripts that do not."""
    text = unicodedata.normalize("NFKD", APOSTROPHES.sub("", text.casefold()))
    plain = text if text.isascii() else "".join(map(_plain, text))
    return RUN.findall(plain.replace("&", " and "))


@lru_cache(4096)
def _plain(character: str) -> str:
    """The character without a stroke and the like, in one or two ASCII letters if it is a Latin one; "" for a mark."""
    if unicodedata.category(character).startswith("M"):
        return ""
    letter = LETTER.fullmatch(unicodedata.name(character, ""))
    return OLD_LETTERS.get(letter[1], letter[1].lower()) if letter else character
