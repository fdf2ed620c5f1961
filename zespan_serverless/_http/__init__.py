"""HTTP/1.1 for requests that another thread must be able to abort at any moment."""
