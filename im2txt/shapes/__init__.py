"""The quickstart: a small world of coloured shapes."""
