"""What a word of the command line may be."""

import argparse

import pytest

from telepresence.cli.words import name, not_empty


@pytest.mark.parametrize("text", ["a", "7", "a-b", "a" * 63])
def test_a_name_of_kubernetes_is_taken_as_it_is(text: str) -> None:
    assert name(text) == text


@pytest.mark.parametrize("text", ["", "A", "a_b", "-a", "a-", "a.b", "a" * 64, "a\n", "ä"])
def test_what_is_no_name_is_refused_with_the_word(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no Kubernetes name") as caught:
        name(text)
    assert repr(text) in str(caught.value)


def test_an_empty_word_is_refused() -> None:
    assert not_empty(" ") == " "
    with pytest.raises(argparse.ArgumentTypeError, match="empty"):
        not_empty("")
