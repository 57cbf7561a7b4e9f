"""What reading a question and answering it from what is kept costs, beside dnslib.

Called by: `make bench`, or by hand.
Owns: nothing.
Never: a socket; `vpn.py` measures names on their way.

Why there is a codec of our own (method/vpn/message.py): each question of the machine passes it.
"""

import sys
from collections.abc import Callable

import dnslib
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from figures import finish, floor, show
from telepresence.method.vpn.message import finish as finish_answer
from telepresence.method.vpn.message import rename, take_question

NAME = "redis-master.default.svc.cluster.local"
ASKED = bytes(dnslib.DNSRecord.question(NAME).pack())
ANSWERED = dnslib.DNSRecord.parse(ASKED).reply()
ANSWERED.add_answer(*dnslib.RR.fromZone(f"{NAME}. 5 A 10.96.0.10"))
KEPT = bytes(ANSWERED.pack())
_medians_us: dict[str, float] = {}


def ours() -> bytes:
    question = take_question(ASKED)
    assert question is not None
    answer, _ = rename(question, question.labels, KEPT)
    return finish_answer(question, answer, 512)


def by_dnslib() -> bytes:
    question = dnslib.DNSRecord.parse(ASKED)
    answer = dnslib.DNSRecord.parse(KEPT)
    answer.header.id = question.header.id
    return bytes(answer.pack())


@pytest.mark.parametrize("codec", [ours, by_dnslib])
def test_a_question_is_answered(benchmark: BenchmarkFixture, codec: Callable[[], bytes]) -> None:
    assert benchmark(codec) == KEPT
    assert benchmark.stats is not None
    rounds = [each * 1e6 for each in benchmark.stats.stats.data]
    name = f"a question read and answered, {codec.__name__}"
    _medians_us[codec.__name__] = show(name, rounds, "us")


def test_ours_is_worth_having() -> None:
    floor("ours / dnslib", _medians_us["ours"] / _medians_us["by_dnslib"], at_most=0.5)


if __name__ == "__main__":
    if code := pytest.main([__file__, "-qs", "--benchmark-quiet"]):
        sys.exit(code)
    finish()
