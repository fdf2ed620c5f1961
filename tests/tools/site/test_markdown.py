"""Markdown that GitHub reads becomes Markdown that the site generator reads in the same way."""

from __future__ import annotations

import pytest

from tools.site import markdown

TABS = """# Deploy

<!-- tabs -->

#### SAM

```sh
#### not a heading
sam deploy
```

#### Terraform

* one
  * two

<!-- /tabs -->

After.
"""


def test_sections_of_a_group_become_tabs() -> None:
    """Each heading of the group's level is a tab with what is below it; code keeps its lines, lists their levels."""
    assert markdown.staged(TABS) == (
        '# Deploy\n\n=== "SAM"\n\n    ```sh\n    #### not a heading\n    sam deploy\n    ```\n\n'
        '=== "Terraform"\n\n    *   one\n        *   two\n\n\nAfter.\n'
    )


def test_a_twin_has_plain_sections() -> None:
    """The marks of a group are left out, and nothing else."""
    assert markdown.without_marks(TABS) == TABS.replace("<!-- tabs -->\n\n", "").replace("<!-- /tabs -->\n\n", "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- tabs -->\nWords.\n<!-- /tabs -->\n", "begins with a heading, not with 'Words.'"),
        ("<!-- tabs -->\n#### One\n", "<!-- tabs --> has no counterpart"),
    ],
)
def test_a_wrong_group_is_named(text: str, problem: str) -> None:
    """With what it has to be."""
    with pytest.raises(markdown.WrongTabs, match=problem):
        markdown.tabs(text)


@pytest.mark.parametrize(
    ("github", "generator"),
    [
        ("Words:\n* one\n* two\n", "Words:\n\n*   one\n*   two\n"),
        (
            "1. one\n   more\n\n   ```sh\n   ls\n   ```\n2. two\n",
            "1.  one\n    more\n\n    ```sh\n    ls\n    ```\n2.  two\n",
        ),
        ("* one\nlazy\n", "*   one\n    lazy\n"),
        ("```\n* code\n  * code\n```\n", "```\n* code\n  * code\n```\n"),
        ("| a |\n| - |\n| * b |\n", "| a |\n| - |\n| * b |\n"),
    ],
    ids=["after a paragraph", "ordered, with code", "lazy", "code", "table"],
)
def test_lists_are_indented_as_the_generator_wants_them(github: str, generator: str) -> None:
    """By four columns, after an empty line; code and tables are left alone."""
    assert markdown.lists(github) == generator


def test_only_prose_is_changed() -> None:
    """Blocks of code and code in a line stay."""
    text = "a `a` a\n\n```\na\n```\n\n``a ` a`` a\n"
    assert markdown.prose(text, str.upper) == "A `a` A\n\n```\na\n```\n\n``a ` a`` A\n"
