"""Files in object stores and on web servers, by their URLs, through fsspec."""
