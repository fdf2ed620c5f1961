"""What the pictures of the documentation have in common: colours for a light and a dark page, bars and texts."""

from __future__ import annotations

from xml.sax.saxutils import escape

STYLE = """
svg { --bg: #ffffff; --fg: #1f2328; --dim: #59636e; --line: #d1d9e0; --init: #9a6700; --handler: #5b7fb9;
  --model: #7d4fc4; --flush: #1a7f5a; --bad: #c21f28; --good: #1a7f37;
  font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --bg: #0d1117; --fg: #e6edf3; --dim: #9198a1; --line: #3d444d; --init: #d4a72c; --handler: #7ba0dc;
    --model: #ab7df8; --flush: #3fb98a; --bad: #f8717a; --good: #4ac26b; }
}
text { fill: var(--fg); } .dim { fill: var(--dim); font-size: 12px; } .strong { font-weight: 600; }
.inverse { fill: var(--bg); } .halo { paint-order: stroke; stroke: var(--bg); stroke-width: 5px; }
.init { fill: var(--init); } .handler { fill: var(--handler); } .model { fill: var(--model); }
.flush { fill: var(--flush); } .bad { fill: var(--bad); } .good { fill: var(--good); }
.line { stroke: var(--line); } .mark { stroke: var(--fg); } .hatch { stroke: var(--line); stroke-width: 2; }
.due { stroke: var(--bad); stroke-width: 1.5; fill: none; }
"""


def beginning(width: int, height: int, title: str, description: str) -> list[str]:
    """Return the first lines of a picture, with an empty card. The last line is `</svg>`."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
        '<path class="hatch" d="M0 0V8"/></pattern></defs>',
        f'<rect width="{width}" height="{height}" rx="8" style="fill: var(--bg)"/>',
    ]


def bar(style: str, left: float, right: float, top: float, height: int) -> str:
    """Return a bar that can be seen, however short it is."""
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top}" width="{max(right - left, 1):.1f}" height="{height}" rx="2"/>'
    )


def text(x: float, y: float, content: str, style: str, anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(content)}</text>'
