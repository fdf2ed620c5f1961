"""What has arrived at a `dev`, in the terminal: `traces` asks for it, `formats` writes it, `tail` follows it."""
