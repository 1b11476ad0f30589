"""The change feed: what revision each region is at, and waking those who wait for it."""
