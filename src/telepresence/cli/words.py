"""What a word of the command line may be: a text in, a value or argparse's refusal out.

Called by: the groups of cli/.
Owns: nothing.
Never: looks at the machine.
"""

import argparse
import re

# Kubernetes, "Object Names and IDs": RFC 1123 label, which a Service of the same name needs too.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no Kubernetes name (lower-case letters, digits and -, 63 at most)"
        )
    return text


def not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text
