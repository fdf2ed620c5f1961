"""Delivery of captured events: intake, buffer, batches, the sender, the journal, and who waits for a flush."""
