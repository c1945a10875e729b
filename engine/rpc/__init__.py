"""The gRPC service: a controller that other programs rely on, and its client."""
