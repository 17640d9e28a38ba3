"""One live conversation: who holds the floor, what is said, what was heard."""
