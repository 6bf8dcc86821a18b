"""The names people give to columns, and which of a table's columns are used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Where a table has several columns that could be one thing, the name that stands first here is taken.
RATING_NAMES = {
    "user": "userid user uid useridx reviewerid customerid customer memberid member accountid account visitorid "
    "visitor profileid viewerid readerid listenerid playerid personid raterid username reviewer",
    "movie": "movieid movie itemid item iid filmid film bookid book productid product asin parentasin isbn sku showid "
    "animeid songid trackid artistid gameid game articleid recipeid businessid beerid videoid contentid tconst "
    "itemidx movieidx titleid",
    "rating": "rating ratings score stars bookrating userrating movierating reviewrating overall reviewoverall vote "
    "grade preference",
    "count": "plays playcount numplays listencount listens weight count views watchcount clicks purchases quantity",
    "timestamp": "timestamp time ts unixreviewtime unixtime ratingtimestamp timestampms eventtime reviewtime datetime "
    "ratedat createdat watchedat updatedat date rateddate reviewdate dateadded when",
}
MOVIE_NAMES = {
    "movie": RATING_NAMES["movie"] + " id",
    "title": "title movietitle booktitle producttitle itemtitle originaltitle name moviename bookname productname "
    "itemname primarytitle songname artistname animename gamename",
    "genres": "genres genre categories category maincategory",
    "year": "year releaseyear yearofpublication originalpublicationyear publicationyear yearpublished startyear",
    "date": "releasedate publicationdate publishdate publisheddate date released",
}


class AmbiguousColumns(ValueError):
    """Two columns have one name."""


def plain(name: str) -> str:
    """The name in lower case without spaces and signs: "User-ID", "user_id" and "userId" are one."""
    return re.sub(r"[\W_]+", "", name).casefold()


def columns_used(header: Sequence[str], names: Mapping[str, str], first: str | None = None) -> dict[str, str]:
    """What a column tells (a key of `names`) to the column's name, for those that the header has.

    first: a name to prefer for "movie".  Raises AmbiguousColumns if two columns of the same name could be meant.
    """
    used: dict[str, str] = {}
    plain_header = [plain(column) for column in header]
    for role, known in names.items():
        ordered = known.split()
        if role == "movie" and first is not None:
            ordered.insert(0, plain(first))
        name = next((name for name in ordered if name in plain_header), None)
        if name is None:
            continue
        if plain_header.count(name) > 1:
            both = " and ".join(repr(c) for c, p in zip(header, plain_header, strict=True) if p == name)
            raise AmbiguousColumns(f"expected one column for the {role}, got {both}")
        used[role] = header[plain_header.index(name)]
    if "rating" in used:
        used.pop("count", None)
    return used


def named_by_flag(text: str) -> tuple[str, ...]:
    """The columns that `--columns user,movie,rating,timestamp` names.  Raises ValueError without user and movie."""
    columns = tuple(name.strip() for name in text.split(","))
    used = columns_used(columns, RATING_NAMES)
    if "user" not in used or "movie" not in used:
        raise ValueError(f"expected names such as user,movie,rating,timestamp, with user and movie, got {text[:40]!r}")
    return columns
