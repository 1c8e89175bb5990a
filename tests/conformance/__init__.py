"""`make conformance`: the official suite against full-featured servers, direct and through a real gateway."""
