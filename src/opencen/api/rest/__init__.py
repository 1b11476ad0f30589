"""The native REST API: console, command line and gateways are its clients."""
