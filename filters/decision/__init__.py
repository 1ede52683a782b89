"""The decision: the table of the law as data, its application, the brand's policy, and an explanation in words."""
