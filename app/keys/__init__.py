"""Administration of the API's keys, with its audit; who a key lets in is decided in ``app.auth``."""
