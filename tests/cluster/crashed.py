#!/usr/bin/env python3
"""The command telepresence, with a bug: an error that nobody expects at a request to the API.

    crashed.py METHOD WORDS...

Called by: test_secrecy.py.
Owns: nothing.
Never: changes what the command does up to that request.
"""

import sys
from typing import Any

from telepresence import __main__
from telepresence.cluster.api import Api

METHOD = sys.argv[1]
request = Api.request


async def request_with_bug(self: Api, method: str, path: str, *rest: Any, **query: str) -> Any:
    if method == METHOD and "reviews" not in path:
        raise KeyError("password=planted-in-an-error")
    return await request(self, method, path, *rest, **query)


Api.request = request_with_bug  # type: ignore[method-assign]
sys.argv[1:] = sys.argv[2:]
sys.exit(__main__.main())
