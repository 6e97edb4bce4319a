"""Results to look at: contact sheets, videos, pages and the folder that holds them."""
