"""The codec loss, its terms, their balance with other losses, and the distances it is compared with."""
