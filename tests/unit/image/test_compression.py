# SPDX-License-Identifier: Apache-2.0
"""What unpacking costs: no more than was asked for, whatever the archive was made to cost.

That content is unpacked, and bombs are refused, is tests/story/image/test_imports.py's.
"""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from skyhold.image.logic.compression import ZIP_DIRECTORY_BYTES, Damaged, unpacked

MIB = 1024 * 1024


def archive(method: int, content_mib: int = 1, *, empty: int = 0) -> io.BytesIO:
    """One file of zeros, and that many directories beside it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        with made.open("disk", "w") as file:
            for _ in range(content_mib):
                file.write(bytes(MIB))
        for number in range(empty):
            made.mkdir(f"d{number}")
    target.seek(0)
    return target


def most_mib(file: io.BytesIO) -> float:
    """The memory taken at once while all of it is unpacked, or until it is refused."""
    tracemalloc.start()
    try:
        for piece in unpacked("zip", file, MIB):
            assert len(piece) <= MIB
    except Damaged:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1] / MIB
        tracemalloc.stop()
    return most


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_a_zip_archive_holds_comes_in_pieces(method: int) -> None:
    file = archive(method, 20)
    assert most_mib(file) < 8
    file.seek(0)
    assert sum(map(len, unpacked("zip", file, MIB))) == 20 * MIB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_could_only_be_unpacked_at_once_is_refused(method: int) -> None:
    assert most_mib(archive(method, 40)) < 4
    with pytest.raises(Damaged, match="deflate"):
        list(unpacked("zip", archive(method), MIB))


def test_a_directory_without_end_is_never_read() -> None:
    file = archive(zipfile.ZIP_DEFLATED, empty=ZIP_DIRECTORY_BYTES // 40)
    assert most_mib(file) < 4
    file.seek(0)
    with pytest.raises(Damaged, match="too much"):
        list(unpacked("zip", file, MIB))


def test_directories_beside_the_file_do_no_harm() -> None:
    assert list(unpacked("zip", archive(zipfile.ZIP_DEFLATED, empty=100), MIB)) == [bytes(MIB)]
