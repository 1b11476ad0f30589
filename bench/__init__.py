"""Every figure that the documentation quotes, each by one command: `python -m bench NAME`, or all by `make bench`."""
