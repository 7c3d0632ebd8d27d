"""Tables in Markdown, CSV and JSON; model cards and the documents that tables go into."""
