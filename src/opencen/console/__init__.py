"""The web pages: a client of the REST API, in the server's process by default or in one of its own."""
