"""Usage: taking in what gateways meter, rolling it up, and answering what is asked of it."""
