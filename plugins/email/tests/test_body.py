"""Names of files: whatever strangers write there."""

from __future__ import annotations

import pytest

from fernamt_email.file_names import file_name


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("Rechnung März.pdf", "Rechnung März.pdf", id="plain"),
        pytest.param("../../etc/passwd", "passwd", id="a path"),
        pytest.param("C:\\Users\\ann\\scan.pdf", "scan.pdf", id="a path of Windows"),
        pytest.param("\u200b.htaccess", "htaccess", id="hidden behind an invisible character"),
        pytest.param("..", "file.pdf", id="dots"),
        pytest.param("gpj.\u202eexe.pdf", "gpj.exe.pdf", id="written backwards"),
        pytest.param("a\uff0fb.pdf", "b.pdf", id="a look-alike of a slash"),
        pytest.param("two\r\nlines.pdf", "twolines.pdf", id="line break"),
        pytest.param("ﬁle.pdf", "file.pdf", id="a ligature"),
        pytest.param("", "file.pdf", id="none"),
        pytest.param("a" * 300 + ".pdf", "a" * 180 + ".pdf", id="endless"),
        pytest.param("x." + "e" * 300, "x." + "e" * 19, id="endless ending"),
        pytest.param("a  b .pdf ", "a b .pdf", id="spaces"),
    ],
)
def test_a_file_has_a_name_and_no_path(written: str, expected: str) -> None:
    assert file_name(written, "application/pdf") == expected
