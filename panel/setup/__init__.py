"""The page Connect your stores: from the first look to stores of one's own."""
