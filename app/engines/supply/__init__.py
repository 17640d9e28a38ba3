"""What engines need besides their code: models, libraries, settings."""
