"""The demo's pages and programming interface (Gradio)."""
