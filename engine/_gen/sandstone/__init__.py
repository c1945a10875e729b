"""Generated from proto/ by .ci/generate-proto; never edited by hand."""
