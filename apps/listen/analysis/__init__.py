"""The analysis of a listening test: from answers to tables and plots."""
