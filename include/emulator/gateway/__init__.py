"""The way of a request: HTTP, the front door of a vendor, rate limits, and the gateway that puts them in order."""
