"""The Huffman codes of MPEG audio layer III (ISO/IEC 11172-3, table B.7), and lookups that pass a pair or a quadruple of values."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODES = (
    "113013102001",  # 1
    "226026125215205113013103001",  # 2
    "226026125215205103112012002",  # 3
    "338238327316137037307227126216026206113013103001",  # 5
    "337037236326306135315225025124214204013112103003",  # 6
    "55a45a54a53a359449259529158518059349508439339248428147417407048238328038137317307227126215026206114013103001",  # 7
    "55b54b45a53935a44a259529059158518349439509339248428148417048408238328138318038308226026206124214112013103002",  # 8
    "559459358538549059448258528158517347437508048247427337407146416236326135315036306225025124214204113013103003",  # 9
    (  # 10
        "77b67b76b57b75b66b47a74a56a65a37a73a46a55b54b63a27972964a07a70962945a35a06953a44a17871836926925a52a15951934a43a168618608059509"
        "249429339049148418408238328038137317307227126216026206114013103001"
    ),
    (  # 11
        "77a67a76a75a66a47a74a57b55b56a65a37973946945a54a35a53a278728649079717178708368638608449259529059158627268068167617518348508439"
        "339248428148418048408237327136316037307226215124025205113013103002"
    ),
    (  # 12
        "77a67a769579759669479749659568378739559278728468648178718079709368638458548448069059267627617168608358538258528157517347437508"
        "048247427147336416236326407037306135315225124214025205004113013103"
    ),
    (  # 13
        "fejfcjfdiedhffgefgdfgeegcfgdegbfgfbgcegdcgafhe9hecfddffagcdgbefebf9fff9feafbdfdbf8fff8fccfaeg9eg8ef7fg7egf7edaeadfbcfcbff6f6fe"
        "e8e5fe9ded9ef5ee7eacebbe4fef4ecafe6ff3e3fd8ded8e2fdf2d6ee9ce0fdc9e5eeabd7ded7e4edc8ed6e3edb9d9beaae1fcf1cf0cbade5de4d8cd6dde3d"
        "e2c2ed0ed1ece1ce0d5ddd5d7cdc7d4dd8bdb8dd4d9ada9d6cdc6c3dcd3d7bd2dcd2c1dcb7c5cdc5d99d7adc3ca7d97d4bcd1b0dcd0c8aca8c4ccc4c6bcb6c"
        "3cb2cbc2b5bbb5c89c1cbc1b98c0ccc0bb4c6aca6c79c3bbb3b88c5ac2bba5c69ca4b78c87c94b77c76cb2a1bab1a0bbb0b96b4ab3aba3b59b95b2aaa2a1aa"
        "a1a0ab68ba0a86b49b93a39b58b85b67b29a92a57b75b38a83a66b47b74b56b65b73b19991909a90a48a84a72a46b64b28982918937a27a17971955a07a70a"
        "36a63a45a54a26a62a35a81808980916961906960953a44a259529059158518349439509249429339148417048408238328137317037307227126216026206"
        "114014103001"
    ),
    (  # 15
        "ffdefdfeddfdeecfddcfdfcddededdbfdfbccedecdddcafcfacbecebccdcdcc9fcf9ceacbdcdbc8fcf8cccc9ece9c7fcf7cadcdacbcc6fcaed0fdcbbf6b8ec"
        "e8c5fc9dcf5b7ebe7bacbcabbbbd9c8dc4fbf4b3fbf3bd8be6b2fbf2b6ecf0c1fbf1b9cbc9b5ebabbbabe5b7dbd7b4ebe4b8cbc8b3eb6dbd6be3b9bbb9b2eb"
        "aabe2b1ebe1b0ece0c5dbd5b7cbc7b4db8bbd4ab8b9aba9b6cbc6b3dbd3ad2a2db0db1da7bab7ad1a5cbd0bc5a8aaa8a4cac4a6bab6a99b0cb3cac3a7aaa7a"
        "a6ac0b0bbc292ca5bab5a1ca89a98ac1a4bab4a6aa3ba79ab3997a88a2ba5aab29a5a1bab19b0a69a96a4aaa4a78a87a3aaa395999592a9a291a9a190aaa0a"
        "68986949994939993977a09a589859299679769929918199909489849579759389839669479288828188818749089809569659379739469278728648178558"
        "718079709368638458548268628168069609358617538448257527157517058508347437247427337416147047236326407037136316306225125215025205"
        "113014104003"
    ),
    (  # 16
        "efbfebdfbfdbcfbfcbbfbfbbafafab9fbf9bf8b8fa7faf7a6faf6aff85faf5a4f9f49f39f093facegechddhdefe9feagd9geeeedfebfbeecdedcfdbfaeecce"
        "adfdaf7efacfcaec9f7df5eebddf282f90f91f8f189edbcecbe8eee8e9dee7ebbe8ded8e6eee6d9cdabebaee5ed7e4ede4e8cec8d3ed6ddd6e9beb9eaaee1d"
        "d4db8ea9e7bdb7ed0ee3c0ede0d5ddd5d7cdc7d4dd8bd9ad6cdc6d3dd5cdc5d0dc8ada8d99d4cdb6d7ad3cc5bd89d1ccc0c98d79de2b2ec1ecd3c2dcd2cd1c"
        "3bc97d88d1dbc4c6bcc3ca7c2cbc2cb5cc1c0cc4bcb4c6aca6cb3b5aca5c2bbb2b1bbb1b0bcb0c69c96c4aca4c78c87ca3b3ac59c2ab95c68ca1b86c77c94b"
        "49c57c67ba2a1aa0aba0b39b93b58b85b29a92a76b09b19a91a90b48b84b75b38b83b66b28b82a47b74b18a81a80a08b56b37a73a65b46b27a72a64b55b07a"
        "17971970a36a63a45a54a26a62916961906a60a53935a44a259529518159059349439509249429339148418049409238328137317038308227126216026206"
        "114014103001"
    ),
    (  # 24
        "ef8fe8df8fd8cf8fc8bf8fb8fa7af89f8f97f878f87f8f776f7f675f7f574f7f473f7f372f7f27f171f8f080f9eebdebedbcebecbddbbebebbcdbdcbaebeab"
        "bdbdbbccb9ebe9badbdabbcbcbb8ebe8b9dbd9b7ebe7bacbff4cabbbb8dbd8b0ece0c0dbe6a6eb9cbc9a5eabaae5aabb7dbd7ae4a8cac8a4eb2eb3ea6dad6a"
        "e3a9bab9aaaae2a1eae1a5dad5a7cac7a4da8bab8ad4a9aaa9a6cac6a3dad3a2dad2a1da7bab7ad1a5cac5a8aaa8a99a4cac4a6bab6ad0b0cb3cac3a7aaa7a"
        "2cac2a5bab5a1ca89a98ac1a4bac0b0bb3bab0b0ab1aab496aaa6a79a97aa0b09b90ab398892ba5aab29a5a1bab1a69a969a494aa78a8793a9a395999592a9"
        "a29a1968986977949994939993958985929967976992919991948984957975938983966928982918947974981908a80a56965917907a70a738379279728468"
        "648558718368638458548268628168618069609358538448258528158059509517348438247427337147417048408237327136316037307226125215026206"
        "114014104004"
    ),
    "0b60f60d60e60760560950650350a50c5024014044084001",  # A
    "0f40e40d40c40b40a4094084074064054044034024014004",  # B
)
"""Each table's codes in the order of their bits, three characters each: the two values, or 0 and four bits of a quadruple, and the code's
length, `g` being 16. The lengths alone give the codes: each begins where the one before it ends."""

TABLES = np.array((0, 0, 1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 12, *[13] * 8, *[14] * 8, 15, 16), np.int64)
"""Place in the lookup of each table that a frame may choose: of pairs by number (0, 4 and 14 have no codes), then A and B of quadruples."""
QUADRUPLES = 32
LINBITS = np.array((*[0] * 16, 1, 2, 3, 4, 6, 8, 10, 13, 4, 5, 6, 7, 8, 9, 11, 13), np.int64)
"""Bits by which a value of 15 is continued, by the number of the table."""

FIRST_BITS, MOST_BITS = 10, 19


@cache
def lookups() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return what to pass for the next bits of a stream.

    Returns
    -------
    first
        int32[17, 2 ** 10] by the next 10 bits: the bits of the code and of the signs, and from bit 8 on how many of the values are 15; of
        codes that are longer than 10 bits, minus the row in `second`, less 1.
    second
        int32[rows, 2 ** 9] by the 9 bits behind those: the same.
    """
    first = np.zeros((len(CODES), 1 << FIRST_BITS), np.int32)
    second: list[NDArray[np.int32]] = []
    for table, codes in enumerate(CODES):
        begin = 0  # of 2 ** MOST_BITS
        for at in range(0, len(codes), 3):
            one, other, length = int(codes[at], 16), int(codes[at + 1], 16), int(codes[at + 2], 36)
            nonzero = other.bit_count() if table >= TABLES[QUADRUPLES] else (one > 0) + (other > 0)
            entry = length + nonzero | ((one == 15) + (other == 15) if table < TABLES[QUADRUPLES] else 0) << 8
            end = begin + (1 << (MOST_BITS - length))
            rest = MOST_BITS - FIRST_BITS
            if length <= FIRST_BITS:
                first[table, begin >> rest : end >> rest] = entry
            else:
                if first[table, begin >> rest] == 0:
                    second.append(np.zeros(1 << rest, np.int32))
                    first[table, begin >> rest] = -len(second)
                second[-1][begin & ((1 << rest) - 1) :][: end - begin] = entry
            begin = end
    return first, np.array(second)
