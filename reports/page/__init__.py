"""The template, style and scripts of the HTML report; no Python."""
