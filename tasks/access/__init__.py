"""What keys may use and hand on: requests in a moment, use in a day, their jobs, links."""
