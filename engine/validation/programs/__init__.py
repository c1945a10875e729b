"""Programs that run inside the sandbox, on an interpreter of the image; the controller hands in their text.

Each module with a `main(arguments)` is one; `engine.validation.archive` packs them. Any Python from 3.10 on; imports are
the standard library, each other, and where a module says so what `/opt/tools` of the image holds. They run no code of
the project. The controller imports none of them.
"""  # noqa: E501
