"""The only door to object stores (S3, GCS, Azure): where one is, and what can be done with it."""
