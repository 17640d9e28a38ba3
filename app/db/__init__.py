"""The database: connections, transactions, the embedded server, the schema's version."""
