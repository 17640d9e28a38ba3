"""Who may use the admin API."""
