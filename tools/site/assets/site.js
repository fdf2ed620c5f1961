// Code and tables that are wider than the window can be scrolled with the keyboard, too.
const BOXES = ".md-typeset pre > code, .md-typeset table, .md-typeset__scrollwrap";
function reach() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible") {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
