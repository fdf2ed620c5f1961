"""HTTP/1.1 for a sender that must be able to stop at any moment."""
