"""The application: conversations, engines, records, and the processes that serve them."""
