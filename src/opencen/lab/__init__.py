"""Several regions on one machine: network namespaces joined by an underlay, real gateways, hosts with real traffic."""
