"""Who is asking: from a credential to an identity, and what no longer counts."""
