"""Text from outside on a terminal: harmless, and on its line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from wanimate.text import indented_lines, one_line, pairs_of, quoted


@given(text=st.text())
def test_one_line_holds_nothing_that_a_terminal_acts_on(text: str) -> None:
    shown = one_line(text)

    assert shown.isprintable()
    assert "\n" not in shown
    assert (shown == text) is text.isprintable()


def test_one_line_shows_what_was_there() -> None:
    assert one_line("\x1b]0;X\x07 a\nb \u202e \u200b 客 [red] :100:") == (
        "\\x1b]0;X\\x07 a\\nb \\u202e \\u200b 客 [red] :100:"
    )


def test_a_line_break_of_a_stranger_begins_no_line_of_ours() -> None:
    assert indented_lines("wrong:\n  line 1: a\nforged\r\n\tb\x1b") == "wrong:\n  line 1: a\\nforged\\r\n  b\\x1b"


@given(labels=st.dictionaries(st.text(), st.text(), max_size=4))
def test_a_label_is_one_word_and_cannot_pass_for_another(labels: dict[str, str]) -> None:
    for pair, (name, value) in zip(pairs_of(labels), labels.items(), strict=True):
        assert pair.isprintable()
        assert pair == f"{quoted(name)}={quoted(value)}"
        assert quoted(name).startswith('"') or not set(name) & set(" =\"'")


def test_labels_are_quoted_only_where_they_must_be() -> None:
    assert pairs_of({"order": "7", "客": "七", "a b": "x=1 task_id=2", "empty": ""}) == [
        "order=7",
        "客=七",
        '"a b"="x=1 task_id=2"',
        'empty=""',
    ]
