"""What callers write in headers and cursors is read tolerantly or refused, and never breaks anything."""

from __future__ import annotations

import contextlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbusy.api import Cursors, Preference, choose_language, etag, fingerprint, read_prefer
from unbusy.api.etags import is_match
from unbusy.errors import Invalid

PLACES = Cursors("places", tuple[datetime, UUID])
NUMBERS = Cursors("numbers", int)


class TestCursors:
    """A cursor leads where it was made for, and what we did not make is refused."""

    @given(st.datetimes(timezones=st.just(UTC)), st.uuids())
    def test_leads_back(self, at: datetime, id: UUID) -> None:
        """What was written is read, and needs no escaping in a URL."""
        text = PLACES.write((at, id))
        assert PLACES.read(text) == (at, id)
        assert text.replace("-", "").replace("_", "").isalnum()

    @given(st.text(max_size=300))
    def test_anything_else_is_refused(self, text: str) -> None:
        """Whatever it is, the answer is the same."""
        with pytest.raises(Invalid) as refused:
            PLACES.read(text)
        assert refused.value.field == "cursor"

    @given(st.binary(max_size=100))
    def test_also_when_it_looks_like_one(self, payload: bytes) -> None:
        """Well-formed text around other content helps nobody."""
        with pytest.raises(Invalid):
            PLACES.read(urlsafe_b64encode(payload).decode().rstrip("="))

    @given(st.integers(0, 10**6), st.data())
    def test_a_changed_one_is_refused_or_another_position(self, position: int, data: st.DataObject) -> None:
        """One character changed never gives anything but a position of the same list."""
        text = NUMBERS.write(position)
        index = data.draw(st.integers(0, len(text) - 1))
        changed = text[:index] + data.draw(st.characters(codec="ascii")) + text[index + 1 :]
        with contextlib.suppress(Invalid):
            assert isinstance(NUMBERS.read(changed), int)

    def test_of_another_list(self) -> None:
        """The cursor of one list is none of another's, even when the positions look alike."""
        with pytest.raises(Invalid):
            Cursors("letters", int).read(NUMBERS.write(3))

    def test_written_otherwise(self) -> None:
        """There is one way to write a position."""
        padded = NUMBERS.write(3) + "="
        longer = (
            urlsafe_b64encode(urlsafe_b64decode(NUMBERS.write(3) + "==")[:-1] + b"\xd1\x00\x03").decode().rstrip("=")
        )
        for text in (padded, longer, " " + NUMBERS.write(3)):
            with pytest.raises(Invalid):
                NUMBERS.read(text)

    def test_none_is_the_beginning(self) -> None:
        """Without a cursor a list begins."""
        assert NUMBERS.read(None) is None

    @given(st.integers(1, 100), st.integers(0, 120))
    def test_pages_follow_each_other(self, limit: int, count: int) -> None:
        """Going from page to page shows everything once, and ends."""
        seen: list[int] = []
        cursor: str | None = NUMBERS.write(0)
        while cursor is not None:
            begin = NUMBERS.read(cursor) or 0
            page = NUMBERS.page(range(begin, count)[: limit + 1], limit, lambda row: row, lambda row: row + 1)
            assert len(page.items) <= limit
            seen += page.items
            cursor = page.next
        assert seen == list(range(count))


class TestPrefer:
    """A preference is honoured or passed over, and never an error."""

    @pytest.mark.parametrize(
        ("header", "preference"),
        [
            (None, Preference()),
            ("respond-async", Preference(respond_async=True)),
            ("wait=5", Preference(wait_s=5)),
            ("wait=3600", Preference(wait_s=30)),
            ('Wait="7"; strict , RESPOND-ASYNC', Preference(respond_async=True, wait_s=7)),
            ("wait=1, wait=2", Preference(wait_s=1)),
            ("wait=-1", Preference()),
            ("wait=1.5", Preference()),
            ("wait=٣", Preference()),
            ("wait", Preference()),
            ("return=minimal, depth-noroot", Preference()),
        ],
    )
    def test_examples(self, header: str | None, preference: Preference) -> None:
        """As RFC 7240 has them: several, with parameters, quoted, in any case."""
        assert read_prefer(header) == preference

    @given(st.text())
    def test_anything(self, header: str) -> None:
        """What is answered as applied is read as the same preference again."""
        preference = read_prefer(header)
        assert preference.wait_s is None or 0 <= preference.wait_s <= 30
        assert read_prefer(preference.applied().get("preference-applied")) == preference


class TestLanguage:
    """The best of the languages that we speak."""

    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("", "en"),
            ("zh", "zh"),
            ("zh-Hans-CN", "zh"),
            ("ZH-hant", "zh"),
            ("de, fr;q=0.9", "en"),
            ("*", "en"),
            ("en;q=0.5, zh;q=0.8", "zh"),
            ("en, zh", "en"),
            ("zh;q=0", "en"),
            ("zh;q=0.0, *", "en"),
            ("zh;q=nan, en;q=0.1", "en"),
            ("zh;level=1", "en"),
            ("zhuang", "en"),
        ],
    )
    def test_examples(self, header: str, language: str) -> None:
        """Weights count, the first of equals wins, and English is for everybody else."""
        assert choose_language(header) == language

    @given(st.text(alphabet=st.sampled_from("enzh-;q=.019*, ")) | st.text())
    def test_anything(self, header: str) -> None:
        """Whatever is asked for, the answer is a language we speak."""
        assert choose_language(header) in {"en", "zh"}


class TestEtag:
    """An ETag changes with what it stands for, and is recognised."""

    @given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
    def test_names_one_thing(self, one: list[str], other: list[str]) -> None:
        """The same parts give the same, others another."""
        assert (etag(*one) == etag(*other)) == ("\0".join(one) == "\0".join(other))

    @pytest.mark.parametrize("template", ["{}", "W/{}", '"other", {}', '"a" ,W/"b",{}', "*"])
    def test_is_found(self, template: str) -> None:
        """In a list, weak or strong."""
        assert is_match(template.format(etag(1)), etag(1))

    @given(st.text())
    def test_is_not_found_in_anything_else(self, header: str) -> None:
        """Nothing else matches, but the star that stands for all."""
        assert not is_match(header, etag(1)) or header.strip() == "*"


class Order(msgspec.Struct):
    a: int
    b: dict[str, int]


def test_a_fingerprint_is_of_the_meaning() -> None:
    """The same route and content have the same sixteen bytes, however written; others have others."""
    one = fingerprint("POST /v1/payments", Order(1, {"x": 1, "y": 2}))
    assert len(one) == 16
    assert one == fingerprint("POST /v1/payments", Order(1, {"y": 2, "x": 1}))
    others = [
        fingerprint("POST /v1/payments", Order(2, {"x": 1, "y": 2})),
        fingerprint(f"POST /v1/payments/{uuid4()}/refunds", Order(1, {"x": 1, "y": 2})),
        fingerprint("POST /v1/payments"),
    ]
    assert one not in others
