"""The small page on which a person plays the citizen."""
