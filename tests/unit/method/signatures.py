"""A reader of ad-hoc signatures that knows nothing of macho.py.

Called by: test_macho.py, test_sip.py.  Owns: nothing.  Never: repairs what it reads.
"""

import hashlib
import struct

import lief


def signed_as(image: bytes) -> str:
    """The identifier of a good ad-hoc signature; AssertionError: it is none.

    Sources: what xnu checks, bsd/kern/ubc_subr.c, cs_validate_blob; lief finds the place."""
    binary = lief.MachO.parse(list(image))
    assert binary is not None
    (macho,) = binary
    command = macho.code_signature
    assert command is not None
    offset, size = command.data_offset, command.data_size
    assert offset % 16 == 0
    assert offset + size == len(image)
    linkedit = macho.get_segment("__LINKEDIT")
    assert linkedit.file_offset + linkedit.file_size == len(image)
    assert linkedit.virtual_size >= linkedit.file_size
    blob = image[offset:]
    magic, length, count = struct.unpack_from(">3I", blob)
    assert (magic, count) == (0xFADE0CC0, 1)
    assert length <= size
    kind, at = struct.unpack_from(">2I", blob, 12)
    assert kind == 0
    directory = blob[at:length]
    magic, length, version, flags, hashes, name, special, n, limit = struct.unpack_from(
        ">9I", directory
    )
    hash_bytes, hash_type, _, page_shift = struct.unpack_from("4B", directory, 36)
    assert (magic, length) == (0xFADE0C02, len(directory))
    assert version >= 0x20400
    assert flags & 0x2  # CS_ADHOC
    assert (hash_bytes, hash_type, special, limit) == (32, 2, 0, offset)
    _, text_bytes, executable = struct.unpack_from(">3Q", directory, 64)
    assert text_bytes == macho.get_segment("__TEXT").file_size
    assert executable & 1 == (macho.header.file_type == lief.MachO.Header.FILE_TYPE.EXECUTE)
    page = 1 << page_shift
    wanted = [
        hashlib.sha256(image[i : min(i + page, limit)]).digest() for i in range(0, limit, page)
    ]
    stored = [directory[hashes + 32 * i : hashes + 32 * (i + 1)] for i in range(n)]
    assert stored == wanted
    return directory[name : directory.index(b"\0", name)].decode()
