"""Image variants: the runner with heavy tools for single checks, each built on first use. Files only: recipes are
data.
"""
