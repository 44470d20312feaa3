"""The quickstart: synthetic scenes of coloured shapes."""
