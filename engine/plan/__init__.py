"""Plan files to typed, checked, immutable plans: pure data, no effects but reading the file.

`engine.plan.parse` turns text into a `Plan`, `engine.plan.model` is the `Plan`, `engine.plan.schema` describes
it for editors. Nothing in here runs anything or looks at a workspace.
"""

import os

# What else is installed has no say in what a plan is; looking through it would take longer than reading the plan.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
