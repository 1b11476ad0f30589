"""One module per page, and per tab of an instance's page."""
