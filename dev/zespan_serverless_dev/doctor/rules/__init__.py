"""The rules, by subject. Each is a function with a `Rule`, and yields a finding for each fault."""
