"""Work outside a call, in Celery's worker."""
