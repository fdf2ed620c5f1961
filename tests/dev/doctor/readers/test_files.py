"""Which files of a project are its own."""

from __future__ import annotations

from pathlib import Path

from zespan_serverless_dev.doctor.readers.files import walk


def test_packages_that_pip_has_put_beside_the_code_are_left_out(tmp_path: Path) -> None:
    """`pip install --target` mixes packages with the user's code. RECORD lists the files of a package."""
    record = "openai/__init__.py,sha256=x,1\nsix.py,,\n../../bin/tool,,\nopenai-1.0.dist-info/RECORD,,\n"
    files = {
        "app.py": "",
        "six.py": "",
        "openai/__init__.py": "",
        "openai/mine.py": "",
        "openai-1.0.dist-info/RECORD": record,
        "deep/six.py": "",
        "odd-1.0.dist-info/METADATA": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [file.relative_to(tmp_path).as_posix() for file in walk(tmp_path)]
    assert found == ["app.py", "deep/six.py", "odd-1.0.dist-info/METADATA", "openai/mine.py"]
