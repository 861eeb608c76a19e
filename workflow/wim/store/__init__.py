"""The row store: finished rows by the digest of everything that decides them."""
