"""Events of calls on disk until the database has them: a spool a process."""
