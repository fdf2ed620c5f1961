"""What goes out: the headers that make a callee continue this trace."""
