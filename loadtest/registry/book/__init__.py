"""What the registry has stored: accounts, consents and their movements, bulk requests, dealers, connections."""
