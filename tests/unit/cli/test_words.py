"""What a word of the command line may be."""

import argparse

import pytest

from telepresence.cli.words import name, not_empty, object_name, target
from telepresence.values import Target


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


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web", (None, "web", None)),
        ("web.v2:app", (None, "web.v2", "app")),
        ("sts/db", ("sts", "db", None)),
        ("Deployment/db:c", ("Deployment", "db", "c")),
    ],
)
def test_a_workload_is_named_with_its_kind_and_container(
    text: str, parts: tuple[str | None, str, str | None]
) -> None:
    kind, called, container = parts
    assert target(text) == Target(kind=kind, name=called, container=container)


@pytest.mark.parametrize("text", ["", ":", "a:", "a:b:c", "/a", "a/b/c", "A", "a b", "a:B", "a\n"])
def test_what_names_no_workload_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        target(text)


def test_a_workloads_name_may_have_dots_and_253_characters() -> None:
    assert object_name("a" * 253) == "a" * 253
    assert object_name("a.b-c") == "a.b-c"
    for bad in ("a" * 254, ".a", "a.", "a_b"):
        with pytest.raises(argparse.ArgumentTypeError, match="no Kubernetes name"):
            object_name(bad)
