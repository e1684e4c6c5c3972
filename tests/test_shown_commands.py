"""Pages are read for what they show to be run, and their output is held against what came."""

from pathlib import Path

import pytest

from tests.support.shown_commands import Shown, find_missing_line, read_page

PAGE = """Text.

```sh
make demo    # set up
make test
```

```console
$ for n in 1 2; do
    echo $n
  done
1
...
$ export A=b
```

```yaml
# own.yaml
a: 1
```

```python
print("hello")
```

```text
hello
```

```text
a drawing
```
"""


def test_commands_programs_files_and_output_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert read_page(page) == [
        Shown("command", "make demo"),
        Shown("command", "make test"),
        Shown("command", "for n in 1 2; do\n    echo $n\n  done", ("1", "...")),
        Shown("command", "export A=b"),
        Shown("file", "# own.yaml\na: 1\n", name="own.yaml"),
        Shown("program", 'print("hello")\n', ("hello",)),
    ]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (("saved 66 tokens", "at http://..., once"), None),
        (("saved 66 tokens", "...", "the end"), None),
        (("the end", "saved 66 tokens"), "saved 66 tokens"),
        (("spent 66 tokens",), "spent 66 tokens"),
        (("saved 66",), "saved 66"),
    ],
)
def test_shown_lines_come_in_their_order_with_any_figures(
    shown: tuple[str, ...], missing: str | None
) -> None:
    output = "before\nsaved 1200 tokens\nat http://a:1/b, once\nbetween\nthe end\n"
    assert find_missing_line(shown, output) == missing
