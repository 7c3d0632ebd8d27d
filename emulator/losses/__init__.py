"""The codec loss, its terms, its balance with others, and the distances that it is compared with."""
